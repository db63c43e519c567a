# syntax=docker/dockerfile:1

# The image holds one static binary and the CA certificates: no shell, no
# package manager, no user database.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.11 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION" \
    -o /powerjob-shim ./cmd/powerjob-shim && mkdir /state

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="powerjob-shim" \
      org.opencontainers.image.description="Makes current PowerJob clients execute every call once on servers that cannot be upgraded" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /powerjob-shim /powerjob-shim
# For certificates; a new volume mounted there takes over this owner.
COPY --from=build --chown=65532:65532 /state /var/lib/powerjob-shim
# Kubelet and Prometheus connect from outside the container, so the admin listener
# cannot stay on loopback, its default.
ENV POWERJOB_SHIM_ADMIN=:9700
EXPOSE 7700 9700
# Kubernetes can check runAsNonRoot only if this is a number.
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/powerjob-shim", "healthcheck"]
ENTRYPOINT ["/powerjob-shim"]
CMD ["run"]
