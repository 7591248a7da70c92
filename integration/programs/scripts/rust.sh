# A Rust program: threads, channels, files, processes, sockets, a panic that is caught.
set -e
mkdir -p /tmp/rust
cd /tmp/rust
cat >main.rs <<'END'
use std::io::{Read, Write};
use std::sync::{mpsc, Arc, Mutex, RwLock};
use std::{env, fs, net, panic, process, thread, time};

fn main() {
    let (tx, rx) = mpsc::channel();
    let count = Arc::new(Mutex::new(0u64));
    let map = Arc::new(RwLock::new(Vec::new()));
    let threads: Vec<_> = (0..32u64)
        .map(|n| {
            let (tx, count, map) = (tx.clone(), count.clone(), map.clone());
            thread::spawn(move || {
                for i in 0..1000 { *count.lock().unwrap() += i * n; }
                map.write().unwrap().push(n);
                tx.send(n).unwrap();
            })
        })
        .collect();
    drop(tx);
    println!("received {}", rx.iter().sum::<u64>());
    for t in threads { t.join().unwrap(); }
    println!("count {} {}", count.lock().unwrap(), map.read().unwrap().len());
    let dir = env::temp_dir().join("rust-d");
    fs::create_dir_all(&dir).unwrap();
    for i in 0..50 { fs::write(dir.join(i.to_string()), vec![b'x'; i]).unwrap(); }
    let total: u64 = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    fs::rename(dir.join("1"), dir.join("one")).unwrap();
    println!("files {} {}", total, fs::read_dir(&dir).unwrap().count());
    fs::remove_dir_all(&dir).unwrap();
    let out = process::Command::new("sh").args(["-c", "cat; exit 9"]).stdin(process::Stdio::piped()).stdout(process::Stdio::piped()).spawn().and_then(|mut c| {
        c.stdin.take().unwrap().write_all(b"to a child").unwrap();
        c.wait_with_output()
    }).unwrap();
    println!("{} {:?}", String::from_utf8_lossy(&out.stdout), out.status.code());
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || { let (mut s, _) = listener.accept().unwrap(); let mut v = Vec::new(); s.read_to_end(&mut v).unwrap(); s.write_all(&v).unwrap(); });
    let mut s = net::TcpStream::connect(address).unwrap();
    s.write_all(&vec![7u8; 200_000]).unwrap();
    s.shutdown(net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    s.read_to_end(&mut back).unwrap();
    server.join().unwrap();
    println!("echo {}", back.len());
    panic::set_hook(Box::new(|_| ()));
    println!("panic caught {}", panic::catch_unwind(|| { let v: Vec<u8> = Vec::new(); v[env::args().count()] }).is_err());
    let t = time::Instant::now();
    thread::sleep(time::Duration::from_millis(20));
    println!("slept {}", t.elapsed().as_millis() >= 20);
}
END
rustc -O main.rs
./main
