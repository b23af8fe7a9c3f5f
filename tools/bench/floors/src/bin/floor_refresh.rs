//! A function that makes the calls of `refresh`, and does nothing else: when it starts, those that
//! load the key ring and open connections; for each event, the `UpdateItem` of a rotation and one
//! `GetItem`, at the same time.

use floors::Tables;
use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (tables, chain) = &Box::pin(Tables::load_with_secret()).await?;
    let handler =
        |_: Request| async move { tokio::try_join!(chain.rotate(), tables.get()).map(|_| "") };
    lambda_http::run(service_fn(handler)).await
}
