//! `cargo local`: the stack, up until Ctrl-C.

use std::fmt::Write;

use local::{
    demo_users::{self, DemoUser},
    dynamodb::{CREDENTIAL, REGION},
    functions::Mode,
    page::Page,
    progress::Progress,
    stack::{Stack, StackOptions},
    workspace::Workspace,
};
use tokio::runtime::Runtime;

use super::{Failure, with_stack};

/// How to start the stack.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Port of the API on 127.0.0.1; 0 for one that is free
    #[arg(long, default_value_t = 9000, value_name = "PORT")]
    port: u16,
    /// Port of the demonstration page on 127.0.0.1; 0 for one that is free
    #[arg(long, default_value_t = 9001, value_name = "PORT")]
    page_port: u16,
    /// Life of an access token; 300 if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    access_token_seconds: Option<u32>,
    /// How long a superseded refresh token leads to the live one; 60 if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(5..=600))]
    retry_window_seconds: Option<u16>,
    /// Instances of each function that may run at the same time
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: u8,
}

/// Starts the stack and waits for the end.
pub fn run(runtime: &Runtime, options: &Options) -> Result<(), Failure> {
    let mut stack_options = StackOptions {
        name: "local".to_owned(),
        port: options.port,
        mode: Mode::Watched,
        concurrency: options.concurrency.into(),
        progress: Progress::EveryStep,
        ..StackOptions::default()
    };
    if let Some(seconds) = options.access_token_seconds {
        stack_options = stack_options.with("RATCHET_ACCESS_TOKEN_SECONDS", seconds);
    }
    if let Some(seconds) = options.retry_window_seconds {
        stack_options = stack_options.with("RATCHET_RETRY_WINDOW_SECONDS", seconds);
    }
    let page = runtime.block_on(Page::reserve(options.page_port)).map_err(|error| {
        format!(
            "can not have port {} for the page: {error}. Choose another with --page-port",
            options.page_port
        )
    })?;
    stack_options = stack_options
        .with("RATCHET_CORS_ORIGINS", page.origin())
        .with("RATCHET_LINK_URL", format!("{}/", page.origin()));
    with_stack(runtime, stack_options, async move |stack: &Stack| {
        demo_users::create(stack).await?;
        std::fs::write(Workspace::locate().mail(), stack.services().secrets().endpoint())?;
        println!("{}", welcome(stack, page.origin())?);
        tokio::select! {
            error = stack.broken() => Err(error.into()),
            error = page.serve(stack) => Err(error.into()),
        }
    })
}

/// What the developer reads when the stack is up.
fn welcome(stack: &Stack, page: &str) -> Result<String, std::fmt::Error> {
    let url = stack.base_url();
    let mut text = format!("\nRatchet is up at {url}, with a page to try it at {page}\n\n");
    for DemoUser { name, password, email_confirmed } in demo_users::DEMO_USERS {
        let remark = if email_confirmed { "" } else { "   (e-mail address not confirmed)" };
        writeln!(text, "  {name:<6} {password}{remark}")?;
    }
    writeln!(text, "\nFive steps, to copy into another terminal:\n")?;
    let DemoUser { name, password, .. } = demo_users::ADA;
    let json = "-H 'content-type: application/json'";
    let take = |key| {
        format!(
            "$(printf %s \"$answer\" | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"{key}\"])')"
        )
    };
    writeln!(text, "# 1. A password for a pair of tokens")?;
    writeln!(
        text,
        "answer=$(curl -sS {url}/authenticate {json} -d '{{\"name\":\"{name}\",\"password\":\"{password}\"}}'); echo \"$answer\""
    )?;
    writeln!(text, "access={}; refresh={}", take("access_token"), take("refresh_token"))?;
    writeln!(text, "# 2. What the access token opens")?;
    writeln!(text, "curl -sS {url}/users -H \"authorization: Bearer $access\"; echo")?;
    writeln!(
        text,
        "# 3. The same when it has expired (wait for that): 401 with IS-TOKEN-EXPIRED: true"
    )?;
    writeln!(text, "curl -sSi {url}/users -H \"authorization: Bearer $access\"; echo")?;
    writeln!(text, "# 4. The refresh token, with the expired access token, for the next pair")?;
    writeln!(
        text,
        "answer=$(curl -sS {url}/refresh {json} -d \"{{\\\"access_token\\\":\\\"$access\\\",\\\"refresh_token\\\":\\\"$refresh\\\"}}\"); echo \"$answer\""
    )?;
    writeln!(text, "access={}; refresh={}", take("access_token"), take("refresh_token"))?;
    writeln!(text, "# 5. It works again")?;
    writeln!(text, "curl -sS {url}/users -H \"authorization: Bearer $access\"; echo")?;
    writeln!(text, "\nThe operators' command line on this stack:\n")?;
    let (credential, data) = (CREDENTIAL, stack.data());
    writeln!(
        text,
        "AWS_ACCESS_KEY_ID={credential} AWS_SECRET_ACCESS_KEY={credential} AWS_REGION={REGION} \
         cargo run -q -p ratchet-cli -- --endpoint-url {} --users-table {} --tokens-table {} users list",
        stack.services().dynamodb().endpoint(),
        data.users_table,
        data.tokens_table,
    )?;
    writeln!(text, "\nAn access token lives {} seconds.", access_token_seconds(stack))?;
    writeln!(text, "Messages to users: cargo local mail")?;
    writeln!(text, "Logs: {}", stack.services().run().folder().display())?;
    write!(text, "Ctrl-C stops everything.")?;
    Ok(text)
}

fn access_token_seconds(stack: &Stack) -> &str {
    stack.environment().variables().get("RATCHET_ACCESS_TOKEN_SECONDS").map_or("?", String::as_str)
}
