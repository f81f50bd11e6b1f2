# An agent with what a build needs: Java for Jenkins, git, Python, and the command line itself, so that a rollback
# needs neither git nor a package index. Build it from the root of the repository.
FROM debian:trixie-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates git openjdk-21-jre-headless openssh-server python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && useradd --create-home --shell /bin/sh jenkins \
    && mkdir -p /run/sshd /srv/mmcicd && chown jenkins:jenkins /srv/mmcicd
COPY . /src
RUN python3 -m venv /opt/mmcicd \
    && /opt/mmcicd/bin/pip install --no-cache-dir '/src[tensorflow]' \
    && ln -s /opt/mmcicd/bin/mmcicd-jenkins /usr/local/bin/ \
    && rm -rf /src
COPY jenkins/sshd_config /etc/ssh/sshd_config
EXPOSE 22
CMD ["/usr/sbin/sshd", "-D", "-e"]
