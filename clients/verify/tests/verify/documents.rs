//! The examples in docs/verifying.md: the Rust lines compile here, and the others are parts of the
//! programs that `interop` runs.

use ratchet_verify::Claims;

#[expect(dead_code, reason = "only compiled; `interop` runs the complete example")]
async fn shown(token: &str) -> Result<Claims, Box<dyn std::error::Error>> {
    let verifier = ratchet_verify::Verifier::new("https://auth.example.com", "ratchet")?;
    let claims = verifier.verify(token).await?;
    Ok(claims)
}

#[test]
fn rust_lines_of_the_document_compile_here() {
    let document = include_str!("../../../../docs/verifying.md");
    let shown =
        document.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(shown.lines().count() >= 2);
    for line in shown.lines() {
        assert!(include_str!("documents.rs").contains(&format!("    {line}\n")), "{line}");
    }
    assert_eq!(document.matches("```rust\n").count(), 1, "every Rust example is compiled");
}

#[test]
fn other_examples_of_the_document_are_parts_of_what_interop_runs() {
    let document = include_str!("../../../../docs/verifying.md");
    for (language, file) in [
        ("js", include_str!("../../../../tests/interop/node/jose.mjs")),
        ("python", include_str!("../../../../tests/interop/python/verify.py")),
        ("go", include_str!("../../../../tests/interop/go/main.go")),
    ] {
        let fence = format!("```{language}\n");
        assert_eq!(document.matches(&fence).count(), 1, "{language}");
        let shown =
            document.split(&fence).nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        assert!(shown.lines().count() >= 10 && file.contains(shown), "{language}");
    }
}
