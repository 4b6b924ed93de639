//! A moto server on loopback: an EC2 by others (`hack/moto.sh` installs it once).

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running server; it ends with this value.
pub struct Server {
    child: Child,
    address: String,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts it on a free port and waits until it accepts connections.
    pub fn start(address: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let made = Command::new(format!("{root}/hack/moto.sh")).stderr(Stdio::inherit()).output().expect("hack/moto.sh");
        assert!(made.status.success(), "hack/moto.sh failed: a moto server is needed (python3 with venv, and PyPI once)");
        let python = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let mut child = Command::new(python)
            .args([&format!("{root}/tests/ec2/server.py"), "-H", address, "-p", &port.to_string()])
            .env("MOTO_AMIS_PATH", format!("{root}/tests/ec2/amis.json"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the moto server starts");
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((address, port)).is_err() {
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < end, "the moto server does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address: address.to_owned(), port }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }
}
