//! Inputs and outputs with types: text of the user's, what serde knows between functions, and plain bytes
//! for functions that C and Python call, too.
// compile: mobula rustc -o input.wasm input.rs
// run: mobula run input.wasm --input "3 4 5" --output -
// expect: text: 3 4 5
// expect: integers: 3 + 4 + 5 = 12
// expect: typed: half of 12 is 6
// expect: an optional one: the default
// expect: as bytes: [6, 8, 10]
// expect: done
// exit: 0

use mobula::{CallError, Raw, chain};

#[mobula::func]
fn half(number: i32) -> String {
    (number / 2).to_string()
}

/// What is given, or what stands for it; two results are a tuple.
#[mobula::func]
fn or_default(text: Option<String>, number: Option<u8>) -> (String, u8) {
    (text.unwrap_or_else(|| "the default".into()), number.unwrap_or(5))
}

/// An array of C's `int`, and one back.
#[mobula::func(1)]
fn twice(numbers: Raw) -> Raw {
    Raw::of(&numbers.values::<i32>().iter().map(|number| 2 * number).collect::<Vec<_>>())
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let text = mobula::input_text();
    println!("text: {text}");
    let numbers: Vec<i32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let words: Vec<_> = numbers.iter().map(i32::to_string).collect();
    let sum: i32 = numbers.iter().sum();
    println!("integers: {} = {sum}", words.join(" + "));

    println!("typed: half of {sum} is {}", chain(half, &sum).wait()?);
    let (given, number) = chain(or_default, &(None, None)).wait()?;
    assert_eq!(number, 5);
    println!("an optional one: {given}");
    println!("as bytes: {:?}", chain(twice, &Raw::of(&numbers)).wait()?.values::<i32>());
    mobula::set_output("done\n");
    Ok(())
}
