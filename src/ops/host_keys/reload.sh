# sshd reads its host keys when it starts and at SIGHUP; a child per connection (ssh@.service) reads them by itself. Under
# ssh.socket (Ubuntu 24.04) the service is restarted, not reloaded: the socket holds connections meanwhile.
reload() {
  if [ -d /run/systemd/system ]; then
    if systemctl is-active -q ssh.socket; then
      systemctl try-restart ssh.service
    else
      for unit in ssh.service sshd.service; do
        if systemctl is-active -q "$unit"; then
          systemctl reload "$unit"
          break
        fi
      done
    fi
  else
    kill -HUP "$(cat /run/sshd.pid)"
  fi
}
