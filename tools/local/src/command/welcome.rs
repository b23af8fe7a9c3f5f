//! The message that is printed when the stack is up.

use std::fmt;

use local::{
    demo_users::{self, DemoUser},
    running::DEFAULT_PORT,
    stack::Stack,
};

/// A stack that is up.
pub struct Welcome<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// URL of the API.
    pub api: &'a str,
    /// URL of the page.
    pub page: &'a str,
    /// Port of the API.
    pub port: u16,
}

impl Welcome<'_> {
    fn variable(&self, name: &str) -> &str {
        self.stack.environment().variables().get(name).map_or("?", String::as_str)
    }
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, api, page, port } = self;
        writeln!(f, "\nRatchet is up at {api}, with a page to try it at {page}\n")?;
        for DemoUser { name, password, email_confirmed } in demo_users::DEMO_USERS {
            let remark = if email_confirmed { "" } else { "   (e-mail address not confirmed)" };
            writeln!(f, "  {name:<6} {password}{remark}")?;
        }
        five_steps(f, api)?;

        let port_option =
            if *port == DEFAULT_PORT { String::new() } else { format!(" --port {port}") };
        writeln!(
            f,
            "\nWeb application   baseUrl http://localhost:{port}, on any port of localhost"
        )?;
        let (issuer, audience) =
            (self.variable("RATCHET_ISSUER"), self.variable("RATCHET_AUDIENCE"));
        writeln!(f, "API of your own   issuer {issuer}, audience {audience}")?;
        writeln!(
            f,
            "Users, sessions   cargo local{port_option} users list   (or any other command of `ratchet`)"
        )?;
        writeln!(f, "Messages          cargo local{port_option} mail")?;
        writeln!(f, "Logs              cargo local{port_option} logs --follow")?;
        writeln!(f, "                  {}", stack.services().run().folder().display())?;
        writeln!(
            f,
            "\nAn access token lives {} seconds.",
            self.variable("RATCHET_ACCESS_TOKEN_SECONDS")
        )?;
        let kept = match stack.services().keep() {
            Some(keep) => {
                format!("Users, sessions and keys are kept in {}.", keep.folder().display())
            }
            None => {
                "Nothing is kept when it stops (--persist DIR keeps users and sessions).".to_owned()
            }
        };
        writeln!(f, "{kept}")?;
        write!(f, "Ctrl-C stops everything.")
    }
}

fn five_steps(f: &mut fmt::Formatter<'_>, url: &str) -> fmt::Result {
    writeln!(f, "\nFive steps, to copy into another terminal:\n")?;
    let DemoUser { name, password, .. } = demo_users::ADA;
    let json = "-H 'content-type: application/json'";
    let take = |key| {
        format!(
            "$(printf %s \"$answer\" | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"{key}\"])')"
        )
    };
    writeln!(f, "# 1. A password for a pair of tokens")?;
    writeln!(
        f,
        "answer=$(curl -sS {url}/authenticate {json} -d '{{\"name\":\"{name}\",\"password\":\"{password}\"}}'); echo \"$answer\""
    )?;
    writeln!(f, "access={}; refresh={}", take("access_token"), take("refresh_token"))?;
    writeln!(f, "# 2. What the access token opens")?;
    writeln!(f, "curl -sS {url}/users -H \"authorization: Bearer $access\"; echo")?;
    writeln!(
        f,
        "# 3. The same when it has expired (wait for that): 401 with IS-TOKEN-EXPIRED: true"
    )?;
    writeln!(f, "curl -sSi {url}/users -H \"authorization: Bearer $access\"; echo")?;
    writeln!(f, "# 4. The refresh token, with the expired access token, for the next pair")?;
    writeln!(
        f,
        "answer=$(curl -sS {url}/refresh {json} -d \"{{\\\"access_token\\\":\\\"$access\\\",\\\"refresh_token\\\":\\\"$refresh\\\"}}\"); echo \"$answer\""
    )?;
    writeln!(f, "access={}; refresh={}", take("access_token"), take("refresh_token"))?;
    writeln!(f, "# 5. It works again")?;
    writeln!(f, "curl -sS {url}/users -H \"authorization: Bearer $access\"; echo")
}
