# Every tool of Assay from one build; a target for each. Prometheus, Grafana and Alertmanager are upstream's images with our
# configuration in them.
#   docker build --target loadgen -t assay/loadgen .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p demo -p exporter -p loadgen -p ruleseval --features demo/minilm \
 && mkdir /out && cp target/release/demo target/release/exporter target/release/loadgen target/release/ruleseval /out/

# glibc, not musl: the exporter loads NVML at run time, which a static binary cannot.
FROM debian:bookworm-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home assay
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
# A volume that is mounted here takes the owner from the image.
USER root
RUN install -d -o assay /runs
USER assay
ENTRYPOINT ["loadgen"]

FROM base AS ruleseval
COPY --from=build /out/ruleseval /usr/local/bin/
ENTRYPOINT ["ruleseval"]

# Upstream's images with our configuration in them.
FROM prom/prometheus:v3.13.2 AS prometheus
COPY prometheus/prometheus.yml /etc/prometheus/
COPY prometheus/rules /etc/prometheus/rules

FROM prom/alertmanager:v0.34.0 AS alertmanager
COPY prometheus/alertmanager.yml /etc/alertmanager/

FROM grafana/grafana:13.2.0 AS grafana
COPY grafana/provisioning /etc/grafana/provisioning
COPY grafana/dashboards /usr/share/assay/dashboards
