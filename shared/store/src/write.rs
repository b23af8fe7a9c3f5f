//! One write of one item, alone or as a part of a transaction.

use aws_sdk_dynamodb::{
    Client,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError,
    },
    types::{
        Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};

use crate::{
    StoreError,
    expression::{Changes, Condition, Rendered, all, render},
    item::{Item, string},
};

/// A write.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    table: String,
    operation: Operation,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
enum Operation {
    Put(Item),
    Update(Item, Changes),
    Delete(Item),
}

/// The result of an update.
#[derive(Debug)]
pub(crate) enum Updated {
    /// The update was made. This is the new item.
    Written(Item),
    /// A condition does not hold. This is the current item, if there is one.
    Unmet(Option<Item>),
}

/// The key of an item of the users table.
pub(crate) fn pk(pk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), string(pk))])
}

impl Write {
    /// Puts a whole item, replacing an existing one.
    pub(crate) fn put(table: impl Into<String>, item: Item) -> Self {
        Self { table: table.into(), operation: Operation::Put(item), conditions: Vec::new() }
    }

    /// Changes an item, or creates it if there is none.
    pub(crate) fn update(table: impl Into<String>, key: Item, changes: Changes) -> Self {
        let operation = Operation::Update(key, changes);
        Self { table: table.into(), operation, conditions: Vec::new() }
    }

    /// Deletes an item, if there is one.
    pub(crate) fn delete(table: impl Into<String>, key: Item) -> Self {
        Self { table: table.into(), operation: Operation::Delete(key), conditions: Vec::new() }
    }

    /// Adds a condition.
    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The write as part of a transaction.
    pub(crate) fn into_part(self) -> Result<TransactWriteItem, StoreError> {
        // Only a defect in this module could leave out a required member.
        fn incomplete<E>(_: E) -> StoreError {
            StoreError::MalformedItem("transaction")
        }
        let Rendered { condition, update, names, values } = self.render();
        let part = TransactWriteItem::builder();
        let part = match self.operation {
            Operation::Put(item) => part.put(
                Put::builder()
                    .table_name(self.table)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
            Operation::Update(key, _) => part.update(
                Update::builder()
                    .table_name(self.table)
                    .set_key(Some(key))
                    .set_update_expression(update)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
            Operation::Delete(key) => part.delete(
                Delete::builder()
                    .table_name(self.table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
        };
        Ok(part.build())
    }

    /// Makes the write on its own. Returns `false` if a condition does not hold.
    pub(crate) async fn send(self, client: &Client) -> Result<bool, StoreError> {
        let Rendered { condition, names, values, .. } = self.render();
        match self.operation {
            Operation::Put(item) => {
                let put = client
                    .put_item()
                    .table_name(self.table)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                let Err(error) = put.send().await else { return Ok(true) };
                match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                    _ => Err(StoreError::new("PutItem", error)),
                }
            }
            Operation::Delete(key) => {
                let delete = client
                    .delete_item()
                    .table_name(self.table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                let Err(error) = delete.send().await else { return Ok(true) };
                match error.as_service_error() {
                    Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                    _ => Err(StoreError::new("DeleteItem", error)),
                }
            }
            Operation::Update(..) => {
                Ok(matches!(self.send_update(client).await?, Updated::Written(_)))
            }
        }
    }

    /// Makes an update on its own. Returns the new item, or the current one if a condition does not
    /// hold.
    pub(crate) async fn send_update(self, client: &Client) -> Result<Updated, StoreError> {
        let Rendered { condition, update, names, values } = self.render();
        let Operation::Update(key, _) = self.operation else {
            return Err(StoreError::MalformedItem("update"));
        };
        let sent = client
            .update_item()
            .table_name(self.table)
            .set_key(Some(key))
            .set_update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Updated::Written(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(unmet)) => {
                    Ok(Updated::Unmet(unmet.item.clone()))
                }
                _ => Err(StoreError::new("UpdateItem", error)),
            },
        }
    }

    fn render(&self) -> Rendered {
        let condition = match self.conditions.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            more => Some(all(more)),
        };
        let changes = match &self.operation {
            Operation::Update(_, changes) => Some(changes),
            Operation::Put(_) | Operation::Delete(_) => None,
        };
        render(condition.as_ref(), changes)
    }
}
