# The router, built from this tree. The image runs `pgring serve` as an unprivileged user and holds nothing else.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package pgring --bin pgring && cp target/release/pgring /pgring

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pgring
COPY --from=build /pgring /usr/local/bin/pgring
USER 10001
EXPOSE 6432 9632
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD curl --fail --silent http://127.0.0.1:9632/healthz
ENTRYPOINT ["pgring"]
CMD ["serve", "--config", "/etc/pgring/pgring.toml"]
