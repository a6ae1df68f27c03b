//! Part of main.rs: puts its input in capitals, and asks "count" how long it is.

use mobula::{CallError, Raw, chain_named};

#[mobula::main]
fn main() -> Result<(), CallError> {
    let text = Raw(mobula::input());
    let count = chain_named::<u64>("count", &text);
    let capitals = text.text().to_uppercase();
    mobula::set_output(format!("{capitals} ({} characters)", count.wait()?));
    Ok(())
}
