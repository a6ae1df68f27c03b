//! Two writers append to one value while both run: no record is lost or torn, and each writer's own
//! records keep their order. A record is a plain struct.
// compile: mobula rustc -o append.wasm append.rs
// run: mobula run append.wasm
// expect: 200 records, each writer's in order
// expect: after clearing: 1 record, 7
// exit: 0

use bytemuck::{Pod, Zeroable};
use mobula::{CallError, Raw, State, chain};

const EACH: u32 = 100;
const WRITERS: u32 = 2;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Record {
    writer: u32,
    number: u32,
}

#[mobula::func]
fn write(writer: u32) {
    let log = State::new("log");
    for number in 0..EACH {
        log.append(Raw::of(&[Record { writer, number }]));
    }
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    mobula::wait_all((0..WRITERS).map(|writer| chain(write, &writer)).collect::<Vec<_>>())?;
    let (log, count) = (State::new("log"), (WRITERS * EACH) as usize);
    let records = Raw(log.appended(count, count * size_of::<Record>())).values::<Record>();
    let mut next = [0; WRITERS as usize];
    for record in &records {
        let next = &mut next[record.writer as usize];
        assert_eq!(record.number, *next);
        *next += 1;
    }
    println!("{} records, each writer's in order", next.iter().sum::<u32>());

    log.clear_appended();
    log.append(Raw::of(&[7_u32]));
    let [seven] = Raw(log.appended(1, 4)).values::<u32>()[..] else { unreachable!("one record") };
    println!("after clearing: 1 record, {seven}");
    Ok(())
}
