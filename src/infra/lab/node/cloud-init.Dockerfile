# cloud-init as it runs on EC2, with Debian's package; only its source of user data differs (NoCloud, docs.cloud-init.io).
RUN rm -f /usr/bin/cloud-init /etc/systemd/system/cloud-init.service /etc/systemd/system/multi-user.target.wants/cloud-init.service \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends cloud-init >/dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY 50_lab.cfg /etc/cloud/cloud.cfg.d/
