//! From the document to the typed template.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    time::Duration,
};

use super::{
    EventSource, Function, GeneratedSecret, Grant, Index, Key, Parameter, Table, Template,
    TemplateError,
    document::{Place, load},
};

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let document = load(text)?;
        let root = Place::root(&document);
        let parameters = named(&root.load("Parameters")?, parameter)?;
        let resources = Resources::read(&root.load("Resources")?)?;
        let variables =
            root.load("Globals")?.load("Function")?.load("Environment")?.load("Variables")?;
        Ok(Self {
            tables: resources
                .of_type("AWS::DynamoDB::Table")
                .map(|(id, place)| Ok((id.to_owned(), table(place)?)))
                .collect::<Result<_, TemplateError>>()?,
            key_ring: secret(&resources.properties("KeyRingSecret", &root)?)?,
            environment: named(&variables, |place| Ok(value(place, &parameters)))?,
            parameter_of: named(&variables, |place| Ok(parameter_of(place)))?
                .into_iter()
                .filter_map(|(variable, parameter)| Some((variable, parameter?)))
                .filter(|(_, parameter)| parameters.contains_key(parameter))
                .collect(),
            functions: functions(&resources)?,
            event_sources: event_sources(&resources)?,
            parameters,
        })
    }
}

fn named<T>(
    place: &Place<'_>,
    read: impl Fn(&Place<'_>) -> Result<T, TemplateError>,
) -> Result<BTreeMap<String, T>, TemplateError> {
    place.entries()?.into_iter().map(|(name, place)| Ok((name, read(&place)?))).collect()
}

/// Resources by logical id: type, whole resource, properties.
struct Resources<'a>(BTreeMap<String, (String, Place<'a>, Place<'a>)>);

impl<'a> Resources<'a> {
    fn read(place: &Place<'a>) -> Result<Self, TemplateError> {
        let resources = place.entries()?.into_iter().map(|(id, resource)| {
            let kind = resource.load("Type")?.text()?;
            let properties = resource.load("Properties")?;
            Ok((id, (kind, resource, properties)))
        });
        Ok(Self(resources.collect::<Result<_, TemplateError>>()?))
    }

    fn of_type(&self, wanted: &'static str) -> impl Iterator<Item = (&str, &Place<'a>)> {
        self.0
            .iter()
            .filter(move |(_, (kind, _, _))| kind == wanted)
            .map(|(id, (_, _, properties))| (id.as_str(), properties))
    }

    fn properties(&self, id: &str, root: &Place<'a>) -> Result<Place<'a>, TemplateError> {
        match self.0.get(id) {
            Some((_, _, properties)) => Ok(properties.clone()),
            None => root.load("Resources")?.load(id),
        }
    }
}

fn parameter(place: &Place<'_>) -> Result<Parameter, TemplateError> {
    let number = |key| place.find(key).map(|place| place.number()).transpose();
    Ok(Parameter {
        kind: place.load("Type")?.text()?,
        default: place.load("Default")?.text()?,
        minimum: number("MinValue")?,
        maximum: number("MaxValue")?,
        allowed: texts(place.find("AllowedValues"))?,
        description: place.load("Description")?.text()?,
    })
}

/// A value that is known before a deployment: a literal, or a parameter's default.
fn value(place: &Place<'_>, parameters: &BTreeMap<String, Parameter>) -> Option<String> {
    match place.intrinsic() {
        None => place.text().ok(),
        Some(("Ref", name)) => {
            parameters.get(&name.text().ok()?).map(|parameter| parameter.default.clone())
        }
        // Lists are passed on joined, as their defaults are written.
        Some(("Join", arguments)) => value(arguments.items().ok()?.get(1)?, parameters),
        Some(_) => None,
    }
}

/// The parameter that a value comes from if somebody sets it.
fn parameter_of(place: &Place<'_>) -> Option<String> {
    match place.intrinsic()? {
        ("Ref", name) => name.text().ok(),
        ("Join" | "If", arguments) => parameter_of(arguments.items().ok()?.get(1)?),
        _ => None,
    }
}

fn table(place: &Place<'_>) -> Result<Table, TemplateError> {
    let kinds: BTreeMap<String, String> = place
        .load("AttributeDefinitions")?
        .items()?
        .iter()
        .map(|item| Ok((item.load("AttributeName")?.text()?, item.load("AttributeType")?.text()?)))
        .collect::<Result<_, TemplateError>>()?;
    let indexes = match place.find("GlobalSecondaryIndexes") {
        None => Vec::new(),
        Some(list) => list
            .items()?
            .iter()
            .map(|item| {
                let projection = item.load("Projection")?;
                Ok(Index {
                    name: item.load("IndexName")?.text()?,
                    key: key(item, &kinds)?,
                    projection: projection.load("ProjectionType")?.text()?,
                    included: texts(projection.find("NonKeyAttributes"))?,
                })
            })
            .collect::<Result<_, TemplateError>>()?,
    };
    let time_to_live = match place.find("TimeToLiveSpecification") {
        Some(ttl) if ttl.load("Enabled")?.is_true()? => Some(ttl.load("AttributeName")?.text()?),
        _ => None,
    };
    let stream = match place.find("StreamSpecification") {
        Some(stream) if stream.intrinsic().is_none() => {
            Some(stream.load("StreamViewType")?.text()?)
        }
        _ => None,
    };
    Ok(Table { key: key(place, &kinds)?, indexes, time_to_live, stream })
}

/// The attributes of a `KeySchema`; `CloudFormation` demands HASH before RANGE.
fn key(place: &Place<'_>, kinds: &BTreeMap<String, String>) -> Result<Vec<Key>, TemplateError> {
    let schema = place.load("KeySchema")?;
    schema
        .items()?
        .iter()
        .map(|item| {
            let attribute = item.load("AttributeName")?.text()?;
            let kind = kinds
                .get(&attribute)
                .cloned()
                .ok_or_else(|| item.shape("a key that AttributeDefinitions defines"))?;
            Ok(Key { attribute, kind })
        })
        .collect()
}

fn secret(place: &Place<'_>) -> Result<GeneratedSecret, TemplateError> {
    let generate = place.load("GenerateSecretString")?;
    Ok(GeneratedSecret {
        template: generate.load("SecretStringTemplate")?.text()?,
        key: generate.load("GenerateStringKey")?.text()?,
        length: generate.load("PasswordLength")?.number()?,
        exclude_punctuation: generate.load("ExcludePunctuation")?.is_true()?,
        include_space: generate.load("IncludeSpace")?.is_true()?,
    })
}

fn functions(resources: &Resources<'_>) -> Result<BTreeMap<String, Function>, TemplateError> {
    // Function → its binary, integration → its function, route → its integration.
    let mut functions = BTreeMap::new();
    let mut binary_of_function = BTreeMap::new();
    for (id, (kind, resource, properties)) in &resources.0 {
        if kind == "AWS::Serverless::Function" {
            let metadata = resource.load("Metadata")?.load("BuildProperties")?;
            let binary = metadata.load("Binary")?.text()?;
            let memory_mib = properties.load("MemorySize")?.number()?;
            let grants = grants(&properties.load("Role")?, resources)?;
            functions.insert(binary.clone(), Function { memory_mib, grants, paths: Vec::new() });
            binary_of_function.insert(id.clone(), binary);
        }
    }
    let mut binary_of_integration = BTreeMap::new();
    for (id, properties) in resources.of_type("AWS::ApiGatewayV2::Integration") {
        let uri = properties.load("IntegrationUri")?;
        let binary = uri
            .intrinsic()
            .filter(|(name, _)| *name == "Ref")
            .and_then(|(_, target)| target.text().ok())
            .and_then(|target| binary_of_function.get(target.strip_suffix(".Alias")?))
            .ok_or_else(|| uri.shape("!Ref <a function>.Alias"))?;
        binary_of_integration.insert(id, binary);
    }
    for (_, properties) in resources.of_type("AWS::ApiGatewayV2::Route") {
        let route = properties.load("RouteKey")?;
        let text = route.text()?;
        let path = text
            .strip_prefix("ANY ")
            .or_else(|| text.contains(' ').then_some(text.as_str()))
            .ok_or_else(|| route.shape("`ANY <path>` or `<method> <path>`"))?;
        let target = properties.load("Target")?;
        let function = target
            .intrinsic()
            .filter(|(name, _)| *name == "Sub")
            .and_then(|(_, target)| target.text().ok())
            .and_then(|target| {
                let id = target.strip_prefix("integrations/${")?.strip_suffix('}')?;
                functions.get_mut(*binary_of_integration.get(id)?)
            })
            .ok_or_else(|| target.shape("!Sub integrations/${<an integration>}"))?;
        function.paths.push(path.to_owned());
    }
    for function in functions.values_mut() {
        function.paths.sort();
    }
    Ok(functions)
}

/// The permissions of the role `!GetAtt <role>.Arn`.
fn grants(role: &Place<'_>, resources: &Resources<'_>) -> Result<BTreeSet<Grant>, TemplateError> {
    let (_, _, role) = role
        .intrinsic()
        .filter(|(name, _)| *name == "GetAtt")
        .and_then(|(_, target)| target.text().ok())
        .and_then(|target| resources.0.get(target.strip_suffix(".Arn")?))
        .ok_or_else(|| role.shape("!GetAtt <a role>.Arn"))?;
    let mut grants = BTreeSet::new();
    for policy in role.load("Policies")?.items()? {
        for statement in policy.load("PolicyDocument")?.load("Statement")?.items()? {
            let one_or_more = |place: Place<'_>| match place.items() {
                Ok(items) => items.iter().map(arn).collect(),
                Err(_) => arn(&place).map(|text| vec![text]),
            };
            let allowed = one_or_more(statement.load("Resource")?)?;
            let conditions = conditions(&statement)?;
            for action in one_or_more(statement.load("Action")?)? {
                for resource in &allowed {
                    grants.extend(conditions.iter().map(|condition| Grant {
                        action: action.clone(),
                        resource: resource.clone(),
                        condition: condition.clone(),
                    }));
                }
            }
        }
    }
    Ok(grants)
}

/// The values that the one condition of a statement allows, each with its key; only `None` if there
/// is no condition.
fn conditions(statement: &Place<'_>) -> Result<Vec<Option<String>>, TemplateError> {
    let Some(place) = statement.find("Condition") else { return Ok(vec![None]) };
    let (_, tested) = only_entry(&place)?;
    let (key, values) = only_entry(&tested)?;
    let values = values.items().unwrap_or_else(|_| vec![values]);
    values.iter().map(|value| Ok(Some(format!("{key}={}", arn(value)?)))).collect()
}

fn only_entry<'a>(place: &Place<'a>) -> Result<(String, Place<'a>), TemplateError> {
    let entries: Result<[_; 1], _> = place.entries()?.try_into();
    entries.map(|[entry]| entry).map_err(|_| place.shape("a mapping with one key"))
}

/// An ARN by the logical id of its resource, and what follows it.
fn arn(place: &Place<'_>) -> Result<String, TemplateError> {
    let place = place.of_own_resource()?;
    let text = match place.intrinsic() {
        // `!Sub [${Table}/index/names, {Table: …}]`
        Some(("Sub", arguments)) if arguments.items().is_ok() => {
            let [text, values]: [Place<'_>; 2] =
                arguments.items()?.try_into().map_err(|_| place.shape("a text and its values"))?;
            let mut text = text.text()?;
            for (name, value) in values.entries()? {
                text = text.replace(&format!("${{{name}}}"), &arn(&value)?);
            }
            text
        }
        Some((_, text)) => text.text()?,
        None => place.text()?,
    };
    // `UsersTable.Arn`, `${UsersTable.Arn}/index/names`, `KeyRingSecret`
    Ok(text.replace("${", "").replace(['}'], "").replace(".Arn", ""))
}

fn event_sources(resources: &Resources<'_>) -> Result<Vec<EventSource>, TemplateError> {
    resources
        .of_type("AWS::Lambda::EventSourceMapping")
        .map(|(id, properties)| {
            let mapping = resources.0.get(id).and_then(|(_, whole, _)| whole.find("Condition"));
            let condition = mapping.map(|condition| condition.text()).transpose()?;
            let names = |key: &str, tag: &str, suffix: &str, expected| {
                let place = properties.load(key)?.of_own_resource()?;
                place
                    .intrinsic()
                    .filter(|(name, _)| *name == tag)
                    .and_then(|(_, target)| target.text().ok())
                    .and_then(|target| target.strip_suffix(suffix).map(str::to_owned))
                    .ok_or_else(|| place.shape(expected))
            };
            let table =
                names("EventSourceArn", "GetAtt", ".StreamArn", "!GetAtt <a table>.StreamArn")?;
            let id = names("FunctionName", "Ref", ".Alias", "!Ref <a function>.Alias")?;
            let (_, resource, function) = resources
                .0
                .get(&id)
                .ok_or_else(|| properties.shape("a mapping to a function of the template"))?;
            let timeout = function.load("Timeout")?.number()?;
            let function = resource.load("Metadata")?.load("BuildProperties")?;
            let function = function.load("Binary")?.text()?;
            let filters = properties.load("FilterCriteria")?.load("Filters")?;
            let pattern = |filter: &Place<'_>| {
                let place = filter.load("Pattern")?;
                serde_json::from_str(&place.text()?).map_err(|_| place.shape("JSON"))
            };
            Ok(EventSource {
                table,
                function,
                condition,
                batch_size: properties.load("BatchSize")?.number()?,
                patterns: filters.items()?.iter().map(pattern).collect::<Result<_, _>>()?,
                timeout: Duration::from_secs(timeout),
                // -1 means forever.
                max_retries: properties
                    .load("MaximumRetryAttempts")?
                    .number::<i32>()?
                    .try_into()
                    .ok(),
                max_age: Duration::from_secs(
                    properties.load("MaximumRecordAgeInSeconds")?.number()?,
                ),
                bisects: properties.load("BisectBatchOnFunctionError")?.is_true()?,
            })
        })
        .collect()
}

fn texts(place: Option<Place<'_>>) -> Result<Vec<String>, TemplateError> {
    match place {
        None => Ok(Vec::new()),
        Some(list) => list.items()?.iter().map(Place::text).collect(),
    }
}
