//! Part of main.rs: gives the length of its input.

#[mobula::main]
fn main() {
    mobula::set_output_as(&(mobula::input().len() as u64));
}
