//! Images of a registry that stands elsewhere than its name says and wants a login.

use crate::{
    faults::wait,
    support::{Lab, docker},
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// The lab's own mirror, behind a login. Each connection carries one request.
struct Guarded {
    port: u16,
}

impl Guarded {
    fn before(mirror: &str, login: &str) -> Self {
        // On all addresses: the lab's network is reached at another one on every host.
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (mirror, wanted) = (format!("{mirror}:5000"), format!("authorization: basic {login}"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mirror, wanted) = (mirror.clone(), wanted.clone());
                // A client that goes away in the middle is its own business.
                thread::spawn(move || serve(stream, &mirror, &wanted));
            }
        });
        Self { port }
    }
}

fn serve(mut client: TcpStream, mirror: &str, wanted: &str) -> std::io::Result<()> {
    let mut request = String::new();
    let mut known = false;
    for line in BufReader::new(client.try_clone()?).lines() {
        let line = line?;
        let (lower, expected) = (line.to_lowercase(), wanted.to_lowercase());
        known |= lower == expected;
        if line.is_empty() {
            break;
        }
        if !lower.starts_with("authorization:") && !lower.starts_with("connection:") {
            request += &format!("{line}\r\n");
        }
    }
    if !known {
        let refusal =
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(refusal.as_bytes());
    }
    let mut upstream = TcpStream::connect(mirror)?;
    upstream.write_all(format!("{request}Connection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    client.write_all(&answer)
}

fn address(lab: &Lab, container: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks \"kubewright-{}\").IPAddress}}}}", lab.name);
    docker(&["inspect", "-f", &format, container]).trim().to_owned()
}

/// Adds the registry to the specification; a pod without pull secrets gets its image, and the password is where it belongs only.
pub fn with_a_login(lab: &Lab) {
    let mirror = address(lab, &format!("kubewright-{}-mirror", lab.name));
    // robot:never-to-be-seen
    let registry = Guarded::before(&mirror, "cm9ib3Q6bmV2ZXItdG8tYmUtc2Vlbg==");
    let gateway = docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", &format!("kubewright-{}", lab.name)]);
    let file = lab.inventory().join("cluster.yaml");
    let before = fs::read_to_string(&file).expect("cluster.yaml");
    let entry = format!(
        "registries: [{{host: \"private.example:5000\", endpoint: \"http://{}:{}\", username: robot, password_file: password}}]\n",
        gateway.trim(),
        registry.port
    );
    fs::write(&file, before.clone() + &entry).expect("cluster.yaml");
    fs::write(lab.inventory().join("password"), "never-to-be-seen\n").expect("password");
    let run = lab.run(&["bootstrap", "--yes", "--no-verify", "--format", "json"]).expect(0);
    let mut changed: Vec<String> = run.changed().into_iter().map(|(_, task)| task).collect();
    changed.sort();
    changed.dedup();
    let tasks = [
        "Credentials of registries",
        "Directories of registries that stand elsewhere",
        "Registries are reached where they stand",
        "Restart kubelet",
    ];
    assert_eq!(changed, tasks, "nothing else");
    let said = run.stdout() + &run.stderr();
    assert!(!said.contains("never-to-be-seen") && !said.contains("cm9ib3Q6bmV2ZXI"), "the password is shown nowhere");
    assert_eq!(lab.inside("worker-1", "stat -c '%a %U' /var/lib/kubelet/config.json").trim(), "600 root");
    let kubectl = |args: &[&str]| lab.run(&[&["kubectl", "--"], args].concat());
    let pause = lab.inside("worker-1", r#"sed -n 's|.*sandbox = "registry.k8s.io/\(.*\)"|\1|p' /etc/containerd/config.toml"#);
    let image = format!("private.example:5000/{}", pause.trim());
    kubectl(&["run", "private", "--image", &image, "--image-pull-policy=Always", "--restart=Never"]).expect(0);
    wait("the pod with the private image runs", Duration::from_secs(60), || {
        kubectl(&["get", "pod", "private", "-o", "jsonpath={.status.phase}"]).stdout() == "Running"
    });
    kubectl(&["delete", "pod", "private", "--wait=false", "--grace-period=1"]).expect(0);
    lab.run(&["plan"]).expect(0);
    fs::write(&file, before).expect("cluster.yaml");
}

/// What `aws.cloud_controller` installs is accepted by a real API server, and Services are asked for as network load balancers. That
/// its images run is for EC2 to show.
pub fn cloud(lab: &Lab) {
    let vars = r#"{"cloud_controller": true, "aws_region": "eu-central-1"}"#;
    let cloud = |more: &[&str]| {
        let inventory = lab.inventory();
        let play = ["playbook", "playbooks/cloud.yml", "-i", inventory.to_str().expect("a path"), "-e", vars];
        lab.run(&[&play[..], more].concat()).expect(0)
    };
    let said = cloud(&["--check", "--format", "json"]).changed();
    assert_eq!(said.len(), 3, "{said:?}");
    cloud(&["-t", "nlb"]);
    let kubectl = |args: &[&str]| lab.run(&[&["kubectl", "--"], args].concat());
    // Admission policies take a moment until the API server has compiled them.
    wait("a Service is asked for as a network load balancer", Duration::from_secs(30), || {
        kubectl(&["create", "service", "loadbalancer", "nlb", "--tcp=80"]).expect(0);
        let annotations = kubectl(&["get", "service", "nlb", "-o", "jsonpath={.metadata.annotations}"]).stdout();
        kubectl(&["delete", "service", "nlb"]).expect(0);
        annotations.contains(r#""service.beta.kubernetes.io/aws-load-balancer-type":"nlb""#)
    });
    kubectl(&["delete", "mutatingadmissionpolicies,mutatingadmissionpolicybindings", "nlb.kubewright.dev"]).expect(0);
}
