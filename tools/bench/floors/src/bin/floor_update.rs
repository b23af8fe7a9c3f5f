//! A function that does one conditional `UpdateItem`.

use floors::Tables;
use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tables = &Tables::load().await?;
    let handler = |_: Request| async move { tables.update().await.map(|_| "") };
    lambda_http::run(service_fn(handler)).await
}
