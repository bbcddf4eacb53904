use super::components::*;
use qualm::sandbox::{Guest, Limits, Recipe, Sandbox};
use std::time::{Duration, Instant};
fn cpu() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}
#[test]
fn scratch() {
    let sandbox = Sandbox::new(None);
    let honest = Core::default().build();
    println!("honest {}", honest.len());
    let limits = Limits::default();
    let go = |name: &str, component: &[u8], limits: Limits| {
        let t = Instant::now();
        match Recipe::plugin(&sandbox, component, b"{}".to_vec(), limits) {
            Err(e) => println!("{name}: {} bytes, {:?}: {e}", component.len(), t.elapsed()),
            Ok(recipe) => {
                println!("{name}: compiled in {:?}", t.elapsed());
                for _ in 0..2 {
                    let (w, c) = (Instant::now(), cpu());
                    let g = Guest::start(&recipe);
                    println!("   start {:?} cpu {:?}: {:?}", w.elapsed(), cpu() - c, g.as_ref().err());
                    let t = Instant::now();
                    drop(g);
                    println!("   drop {:?}", t.elapsed());
                }
            }
        }
    };
    go("honest", &honest, limits);
    go("everything", &Core::everything().build(), limits);
    for (from, to) in
        [("utf8", "utf8"), ("utf8", "utf16"), ("utf16", "utf8"), ("utf8", "latin1+utf16"), ("utf16", "utf16")]
    {
        go(&format!("transcode {from} {to}"), &transcode(from, to, 1900, 40 << 20), limits);
    }
    for levels in [5, 9, 14, 18] {
        go(&format!("exponential {levels}"), &exponential(levels), limits);
    }
    for size in [1000, 10_000, 40_000] {
        go(&format!("slow {size}"), &slow_to_compile(size), limits);
    }
}
