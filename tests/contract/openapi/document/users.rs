//! `functions/users`.

use ratchet_http::Problem;
use serde_json::json;

use super::operation::Operation;

const SESSION: &str = "01a20c41-e62f-73f0-9ec9-c6907cba724d";

pub(crate) fn operations() -> Vec<Operation> {
    let [page_query, scope_query] = ::users::queries();
    let page = json!({
        "users": [{"id": "01a20c41-e62f-73f0-9ec9-c6907cba724d", "name": "ada"}],
        "next_cursor": "YWRh",
    });
    let sessions = json!({"sessions": [{
        "id": SESSION,
        "current": true,
        "device": "Laptop",
        "user_agent": "example/1.0",
        "network": "203.0.113.0/24",
        "signed_in_at": 1_795_521_600,
        "refreshed_at": 1_795_521_900,
        "idle_expires_at": 1_798_113_900,
        "absolute_expires_at": 1_803_297_600,
    }]});
    vec![
        Operation::new("get", "/users", "listUsers", "Users in name order, a page at a time")
            .bearer()
            .query(&page_query)
            .answers(200, "A page of users", "UserPage", &page)
            .refuses(&[Problem::Forbidden]),
        Operation::new("get", "/users/me/sessions", "listSessions", "The caller's own sessions")
            .bearer()
            .answers(200, "Live sessions, the one refreshed last first", "SessionList", &sessions)
            .link(
                200,
                "endSession",
                json!({
                    "operationId": "endSession",
                    "parameters": {"path.id": "$response.body#/sessions/0/id"},
                }),
            )
            .refuses(&[Problem::SessionEnded]),
        Operation::new("delete", "/users/me/sessions", "endSessions", "Ends all own sessions")
            .bearer()
            .query(&scope_query)
            .done(204, "They are over")
            .refuses(&[Problem::SessionEnded]),
        Operation::new("delete", "/users/me/sessions/{id}", "endSession", "Ends an own session")
            .bearer()
            .in_path("id", "`id` of a session in the list", SESSION)
            .done(204, "It is over")
            .refuses(&[Problem::NotFound, Problem::SessionEnded]),
    ]
}
