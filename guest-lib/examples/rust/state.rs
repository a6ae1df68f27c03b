//! Every state call once: whole values, parts, windows, dirty flags, push and pull, masks, merges,
//! files, values made and removed. A second call sees what the first one wrote.
// compile: mobula rustc -o state.wasm state.rs
// run: mobula run state.wasm
// expect: whole: 8 bytes, "one two"
// expect: part: "two"
// expect: unwritten bytes are 0
// expect: window: "ONE two"
// expect: masked: mask is 0 again
// expect: merged: 10 3 9
// expect: made and removed
// expect: file: 11 bytes, "from a file"
// expect: child saw "ONE two" and wrote 42
// exit: 0

use std::error::Error;

use mobula::{Op, State, Window};

const KEY: &str = "words";
const SIZE: usize = 8;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text was written").trim_end_matches('\0')
}

fn whole_and_part() {
    let words = State::new(KEY);
    assert_eq!(words.size(), 0);
    words.write(b"one two\0");
    println!("whole: {} bytes, {:?}", words.size(), text(&words.read()));
    let mut part = [0_u8; 3];
    words.read_at(SIZE, 4, &mut part);
    println!("part: {:?}", text(&part));

    // The first use of a key fixes its length; what nobody wrote is 0.
    let numbers = State::new("numbers");
    numbers.write_at(16, 4, &[5_i32]);
    assert_eq!(numbers.get::<[i32; 4]>(), [0, 5, 0, 0]);
    println!("unwritten bytes are 0");
}

fn window() {
    // The shared bytes themselves: stores are in the value at once. A push sends what is flagged,
    // and the view flags its part.
    let mut words = Window::<u8>::part(KEY, SIZE, 0, 3);
    words.exclusive(0..3).copy_from_slice(b"ONE");
    words.push_partial();
    words.set(0, b'O');
    words.flag(0..1);
    words.push();
    words.pull();
    println!("window: {:?}", text(&State::new(KEY).read()));
}

fn masked() {
    // Only bytes whose mask bytes are set are sent; then the mask is 0 again.
    let (value, mask) = (Window::<u8>::open("masked", SIZE), Window::<u8>::open("mask", SIZE));
    value.set(2, 22);
    value.flag(2..3);
    mask.set(2, 0xFF);
    value.state().push_masked(mask.state());
    assert!(mask.iter().all(|byte| byte == 0));
    assert_eq!(value.state().get::<[u8; SIZE]>()[2], 22);
    println!("masked: mask is 0 again");
}

fn merged() {
    // Elements of a private buffer are combined with the value's, each atomically.
    let sums = State::new("sums");
    sums.set(&[4_i32, 3, -2]);
    sums.merge(12, 0, &[6_i32], Op::Sum);
    sums.merge(12, 4, &[8_i32], Op::Min);
    sums.merge(12, 8, &[9_i32], Op::Max);
    sums.push_merge::<i32>(Op::Sum);
    let [sum, least, most] = sums.get::<[i32; 3]>();
    println!("merged: {sum} {least} {most}");
}

fn made_and_removed() {
    let made = State::new("made");
    made.create(1000);
    assert_eq!(made.size(), 1000);
    // A value can be removed when no call has a window on it.
    let window = Window::<u8>::open("made", 1000);
    assert_eq!(window.get(999), 0);
    window.close();
    made.delete();
    assert_eq!(made.size(), 0);
    println!("made and removed");
}

fn from_file() -> std::io::Result<()> {
    // /tmp is this call's own and gone with it.
    let path = "/tmp/mobula-example-rust";
    std::fs::write(path, "from a file")?;
    let file = State::new("file");
    let len = file.write_from_file(path)?;
    std::fs::remove_file(path)?;
    assert!(file.write_from_file("/no/such/file").is_err());
    println!("file: {len} bytes, {:?}", text(&file.read()));
    Ok(())
}

#[mobula::func]
fn child() -> String {
    State::new("answer").set(&42_i32);
    text(&State::new(KEY).read()).to_owned()
}

#[mobula::main]
fn main() -> Result<(), Box<dyn Error>> {
    whole_and_part();
    window();
    masked();
    merged();
    made_and_removed();
    from_file()?;
    let seen = mobula::chain(child, &()).wait()?;
    println!("child saw {seen:?} and wrote {}", State::new("answer").get::<i32>());
    Ok(())
}
