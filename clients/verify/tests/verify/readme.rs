//! The README's lines for those who verify tokens: Rust's compile here, the others are of `interop`.

use ratchet_verify::Claims;

#[expect(dead_code, reason = "it has to compile; `interop` runs the whole example")]
async fn shown(token: &str) -> Result<Claims, Box<dyn std::error::Error>> {
    let verifier = ratchet_verify::Verifier::new("https://auth.example.com", "ratchet")?;
    let claims = verifier.verify(token).await?;
    Ok(claims)
}

#[test]
fn the_readme_shows_what_compiles_here() {
    let readme = include_str!("../../../../README.md");
    let shown = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(shown.lines().count() >= 2);
    for line in shown.lines() {
        assert!(include_str!("readme.rs").contains(&format!("    {line}\n")), "{line}");
    }
    assert_eq!(readme.matches("```rust\n").count(), 1, "each of them is compiled");
}

#[test]
fn the_readme_shows_parts_of_what_interop_runs() {
    let readme = include_str!("../../../../README.md");
    for (language, file) in [
        ("js", include_str!("../../../../tests/interop/node/jose.mjs")),
        ("python", include_str!("../../../../tests/interop/python/verify.py")),
        ("go", include_str!("../../../../tests/interop/go/main.go")),
    ] {
        let fence = format!("```{language}\n");
        assert_eq!(readme.matches(&fence).count(), 1, "{language}");
        let shown = readme.split(&fence).nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        assert!(shown.lines().count() >= 10 && file.contains(shown), "{language}");
    }
}
