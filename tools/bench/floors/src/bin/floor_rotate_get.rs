//! A function that does the very `UpdateItem` of a rotation and one `GetItem`, at the same time:
//! what a refresh is to DynamoDB. What a refresh takes longer is our own.

use floors::{Chain, SESSIONS, Tables};
use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tables = &Tables::load().await?;
    let chain = &Chain::find(tables, SESSIONS[0]).await?;
    let handler =
        |_: Request| async move { tokio::try_join!(chain.rotate(), tables.get()).map(|_| "") };
    lambda_http::run(service_fn(handler)).await
}
