//! A report holds every number of its records, is well-formed, needs nothing from elsewhere, and a browser shows it.
//!
//! The rows are made here and say nothing of any machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use mobula_bench::records::{Entry, Records};
use mobula_bench::report::Report;
use serde_json::{Value, json};

/// What was "measured": a head and rows of every kind of benchmark.
fn fixture() -> String {
    let head = json!({"machine": "made-2cpu", "cpu": "Made Up <1>", "cpus": 2, "kernel": "Linux 0", "compiler": "cc 0",
        "commit": "0000000", "date": "2000-01-01T00:00:00Z", "mpi": "MPI 0", "mask": "0-1",
        "versions": {"rustc": "0", "mobula": "0"}, "later": [1]});
    let mut lines = vec![head.to_string()];
    let mut seed = 1_u32;
    let mut noise = |value: f64| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value * (1.0 + f64::from(seed >> 16) / 65536.0 / 12.0)
    };
    let mut row = |mut row: Value, ours: f64, peer: f64| {
        let (ours, peer) = (noise(ours), noise(peer));
        let spread = noise(0.03);
        row["n"] = 30.into();
        row["median"] = ours.into();
        row["p10"] = (ours * (1.0 - spread)).into();
        row["p90"] = (ours * (1.0 + 2.0 * spread)).into();
        if row.get("peer").is_some() {
            row["peer_median"] = peer.into();
            row["ratio"] = (ours / peer).into();
            if row.get("kind").is_some() {
                row["peer_p10"] = (peer * 0.98).into();
                row["peer_p90"] = (peer * 1.07).into();
            }
        }
        lines.push(row.to_string());
    };
    definitions(&mut row);
    parts(&mut row);
    lines.join("\n")
}

type Add<'a> = &'a mut dyn FnMut(Value, f64, f64);

/// name, kind, bound, ms on one worker, of these on both CPUs, waits between ranks in ms, peers.
type Kernel =
    (&'static str, &'static str, &'static str, f64, f64, f64, &'static [(&'static str, f64)]);

const KERNELS: &[Kernel] = &[
    ("jacobi", "algorithm", "memory", 40.0, 0.7, 0.05, &[("openmp", 1.03), ("mpi", 0.99)]),
    ("cg", "algorithm", "memory", 95.0, 0.6, 0.2, &[("openmp", 1.1), ("mpi", 1.0)]),
    ("pagerank", "algorithm", "memory", 18.0, 0.55, 0.6, &[("openmp", 1.19), ("mpi", 1.25)]),
    (
        "kmeans",
        "algorithm",
        "compute",
        30.0,
        0.52,
        0.03,
        &[
            ("openmp", 1.3),
            ("mpi", 1.1),
            ("numpy", 0.6),
            ("joblib", 0.3),
            ("ray", 0.12),
            ("dask", 0.04),
            ("mpi4py", 0.7),
        ],
    ),
    (
        "matmul",
        "algorithm",
        "compute",
        350.0,
        0.5,
        0.1,
        &[("openmp", 1.7), ("openblas", 6.0), ("rayon", 1.02)],
    ),
    ("matmul-blas", "algorithm", "compute", 50.0, 0.5, 0.1, &[("openblas", 1.04)]),
    ("shortest-paths", "algorithm", "latency", 3.0, 0.6, 0.8, &[("openmp", 2.2), ("mpi", 0.8)]),
    ("nstream", "kernel", "memory", 12.0, 0.8, 0.01, &[("openmp", 1.01), ("mpi", 1.0)]),
    ("synch-p2p", "kernel", "latency", 9.0, 0.9, 1.5, &[("openmp", 3.1), ("mpi", 2.0)]),
];

fn definitions(add: Add) {
    for (name, kind, bound, one, both, wait, peers) in KERNELS {
        for (size, grow) in [("medium", false), ("weak", true)] {
            for (threads, ranks, hosts) in
                [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 4, 1), (1, 2, 2), (1, 4, 2), (2, 2, 2)]
            {
                let workers = f64::from(threads * ranks);
                let far = f64::from(ranks).log2() * if hosts > 1 { 3.0 } else { 1.0 };
                let share = if workers > 1.0 { *both } else { 1.0 };
                let work = one * share * if grow { workers } else { 1.0 };
                let time = work + wait * far;
                let mpi = |peer: &str| peer.starts_with("mpi");
                let fits = |peer: &&(&str, f64)| if ranks > 1 { mpi(peer.0) } else { !mpi(peer.0) };
                let case = json!({"bench": name, "metric": "iteration", "unit": "ms", "kind": kind, "bound": bound,
                    "size": size, "points": 4096, "threads": threads, "ranks": ranks, "hosts": hosts,
                    "launcher": if ranks > 1 { "mpirun" } else { "none" }, "memory": 180_000.0 + one * 900.0});
                for (peer, ratio) in peers.iter().filter(fits) {
                    let mut case = case.clone();
                    case["peer"] = (*peer).into();
                    case["peer_memory"] = ((150_000.0 + one * 900.0) / ratio.min(1.0)).into();
                    add(case, time, time / ratio);
                }
                if !peers.iter().any(|peer| fits(&peer)) {
                    add(case, time, 0.0);
                }
            }
        }
    }
}

const SANDBOX: [&str; 12] = [
    "2mm",
    "3mm",
    "adi",
    "atax",
    "bicg",
    "cholesky",
    "fdtd-2d",
    "gemm",
    "heat-3d",
    "jacobi-2d",
    "lu",
    "nussinov",
];

fn plain(bench: &str, metric: &str, unit: &str, peer: &str) -> Value {
    json!({"bench": bench, "metric": metric, "unit": unit, "peer": peer})
}

fn native(name: &str, ratio: f64, add: Add) {
    add(plain("sandbox", name, "ms", "native"), 7.0 * ratio, 7.0);
}

fn parts(add: Add) {
    for (i, name) in SANDBOX.iter().enumerate() {
        native(name, 0.85 * 1.05_f64.powf(i as f64), add);
    }
    native("seidel-2d", 3.4, add);
    for (metric, ns) in [("call-1-thread", 640.0), ("call-all-threads", 390.0)] {
        add(plain("chain-noop", metric, "ns", "openmp-queued-task"), ns, 210.0);
    }
    ranks(add);
    for threads in [1, 2] {
        for peer in ["openmp", "rayon"] {
            let us = 0.6 / f64::from(threads);
            add(plain("scaling", &format!("noop-{threads}-threads"), "us", peer), us, us / 9.0);
        }
        let mut join = plain("fork-join", "iteration", "us", "openmp");
        join["threads"] = threads.into();
        join["size"] = "medium".into();
        add(join, 5.0 / f64::from(threads), 1.2);
    }
    for (workers, kib) in [(1, 300_000.0), (8, 310_000.0)] {
        add(
            json!({"bench": "sgd", "metric": format!("peak-memory-{workers}-workers"), "unit": "KiB"}),
            kib,
            0.0,
        );
    }
}

/// Benchmarks of several ranks.
fn ranks(add: Add) {
    for (hosts, trip) in [("", 4500.0), ("-2-hosts", 36_000.0)] {
        for bytes in ["0", "64", "4096"] {
            add(
                plain("rank-rtt", &format!("round-trip-{bytes}-bytes{hosts}"), "ns", "mpi"),
                trip,
                trip / 2.0,
            );
        }
        for pattern in ["trivial", "stencil", "all-to-all"] {
            for ranks in [1, 2, 4] {
                let us = f64::from(ranks) * trip / 3000.0;
                add(
                    plain(
                        "metg",
                        &format!("{pattern}-smallest-task-{ranks}-ranks{hosts}"),
                        "us",
                        "mpi",
                    ),
                    us,
                    us / 3.0,
                );
            }
        }
        for ranks in [1, 2, 4] {
            let rate = 1.7e6 / f64::from(ranks);
            add(
                plain("fanout-ranks", &format!("noop-{ranks}-ranks{hosts}"), "1/s", "mpi"),
                rate,
                rate * 4.0,
            );
        }
    }
    for size in ["4-KiB", "64-KiB", "16384-KiB", "262144-KiB"] {
        add(plain("pull-bandwidth", &format!("{size}-2-hosts"), "GB/s", "mpi"), 1.7, 1.8);
    }
}

fn records(text: &str) -> Records {
    let mut records = Records::default();
    records.add(text, "fixture").unwrap();
    records
}

/// Every number that stands in a text of the page.
fn numbers(html: &str) -> Vec<f64> {
    let texts =
        html.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text.trim());
    let mut numbers: Vec<f64> =
        texts.filter_map(|text| text.replace('\u{202f}', "").parse().ok()).collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

#[test]
fn every_number_is_on_the_page() {
    let records = records(&fixture());
    let shown = numbers(&Report::of(&records).html);
    let is_shown = |value: f64| {
        let next = shown.partition_point(|number| *number < value * (1.0 - 1e-3));
        shown.get(next).is_some_and(|number| *number <= value * (1.0 + 1e-3))
    };
    for entry in &records.entries {
        let Entry { median, p10, p90, peer_median, peer_p10, peer_p90, ratio, .. } = *entry;
        for value in [Some(median), Some(p10), Some(p90), peer_median, peer_p10, peer_p90, ratio] {
            assert!(value.is_none_or(is_shown), "{value:?} of {entry:?}");
        }
        for kib in [entry.memory, entry.peer_memory] {
            assert!(kib.is_none_or(|kib| is_shown(kib / 1024.0)), "memory of {entry:?}");
        }
    }
}

#[test]
fn drawings_are_well_formed_and_named() {
    let report = Report::of(&records(&fixture()));
    assert!(report.plots.len() > 30, "{}", report.plots.len());
    for (name, svg) in &report.plots {
        let tree = roxmltree::Document::parse(svg).unwrap_or_else(|err| panic!("{name}: {err}"));
        let has = |tag: &str| {
            tree.root_element()
                .children()
                .any(|child| child.has_tag_name(("http://www.w3.org/2000/svg", tag)))
        };
        assert!(has("title") && has("desc"), "{name}");
        let rest = svg.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!rest.contains("://") && !rest.contains("NaN") && !rest.contains("inf"), "{name}");
    }
    let inline: Vec<&str> = report.html.split("<svg").skip(1).collect();
    assert_eq!(inline.len(), report.plots.len());
    for svg in inline {
        let svg = format!("<svg{}</svg>", svg.split_once("</svg>").unwrap().0);
        roxmltree::Document::parse(&svg).unwrap();
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let html = Report::of(&records(&fixture())).html;
    for foreign in ["http:", "https:", "://", "<script", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for section in [
        "summary",
        "engines",
        "scaling",
        "metg",
        "prediction",
        "sandbox",
        "memory",
        "parts",
        "rows",
    ] {
        assert!(html.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
    assert!(html.contains("Made Up &lt;1&gt;") && html.contains("Prediction, not measurement"));
}

#[test]
fn a_record_without_most_things_says_so() {
    let text: String = fixture()
        .lines()
        .filter(|line| !line.contains("rank-rtt"))
        .fold(String::new(), |a, b| a + b + "\n");
    let html = Report::of(&records(&text)).html;
    assert!(html.contains("No prediction: the record has no rank-rtt"));
    let few: Vec<_> = text.lines().take(2).collect();
    let report = Report::of(&records(&few.join("\n")));
    assert!(
        report.html.contains("There is nothing of this in the record.") && !report.plots.is_empty()
    );
}

#[test]
fn records_of_long_ago_make_a_report() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("record/x86_64-2cpu");
    let files = mobula_bench::records::newest(&dir).unwrap();
    let report = Report::of(&Records::read(&files).unwrap());
    assert!(report.html.contains("rank-rtt") && !report.plots.is_empty());
}

/// Makes the browser look at its own layout: how wide the page is, which texts of a drawing overlap or stick out.
const LOOK: &str = "<script>
addEventListener('load', () => {
  const said = [];
  document.querySelectorAll('details').forEach(part => part.open = true);
  if (document.documentElement.scrollWidth > innerWidth) said.push('page ' + document.documentElement.scrollWidth);
  for (const svg of document.querySelectorAll('svg.plot')) {
    const box = svg.viewBox.baseVal, texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBBox());
    boxes.forEach((a, i) => {
      const what = svg.querySelector('title').textContent + ': ' + texts[i].textContent;
      if (a.x < -1 || a.y < -1 || a.x + a.width > box.width + 1 || a.y + a.height > box.height + 1) said.push('out ' + what);
      boxes.slice(i + 1).forEach((b, j) => {
        const w = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
        const h = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
        if (w > 1.5 && h > 4) said.push('overlap ' + what + ' / ' + texts[i + 1 + j].textContent);
      });
    });
  }
  parent.postMessage(innerWidth + ' wide: ' + said.length + ' faults\\n' + said.join('\\n'), '*');
});
</script>";

/// A window as narrow as a phone's: browsers have none without a screen. Says what the page within says of itself.
const FRAME: &str = "<!doctype html><script>
addEventListener('message', said => {
  const list = document.createElement('pre');
  list.id = 'looked';
  list.textContent = said.data;
  document.body.append(list);
});
</script><body><iframe src='looking.html' height='800' style='border:0' width='";

fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|said| said.status.success())
    })
}

/// What a browser makes of a page: its elements, and what it complains of.
fn open(browser: &str, page: &Path, width: u32) -> (String, String) {
    let profile = page.with_extension("profile");
    let said = Command::new("timeout")
        .args([
            "-k",
            "5",
            "120",
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
        .args([
            "--disable-sync",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    _ = std::fs::remove_dir_all(&profile);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&said.stdout), text(&said.stderr))
}

#[test]
fn a_browser_shows_it() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report");
    let report = Report::of(&records(&fixture()));
    let page = report.write(&dir).unwrap();
    let Some(browser) = browser() else {
        eprintln!("skipped: a_browser_shows_it, there is no chromium");
        return;
    };
    let looking = dir.join("looking.html");
    std::fs::write(&looking, report.html.replace("</body>", &format!("{LOOK}</body>"))).unwrap();
    let (dom, complaints) = open(browser, &page, 1200);
    assert_eq!(dom.matches("<svg").count(), report.plots.len(), "{complaints}");
    assert!(!complaints.contains("CONSOLE"), "{complaints}");
    for width in [360, 400, 768, 1200] {
        let frame = dir.join("frame.html");
        std::fs::write(&frame, format!("{FRAME}{width}'></iframe></body>")).unwrap();
        let (dom, complaints) = open(browser, &frame, 1400);
        let looked =
            dom.split_once("<pre id=\"looked\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let (looked, _) = looked.unwrap_or_else(|| panic!("{dom} {complaints}"));
        assert_eq!(looked.trim(), format!("{width} wide: 0 faults"));
    }
}
