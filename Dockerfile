# The tag names one Node, the lockfile's. Pin the digest as well where you build for production
# (node:24.21.0-bookworm-slim@sha256:…): it could not be looked up where this file was written.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# With the optional packages: TypeScript's compiler is one of them.
RUN npm ci
COPY tsconfig.json .tsconfig.build.json ./
COPY src src
RUN npm run build
# Without them: the image has its own Node.
RUN npm prune --omit=dev --omit=optional

FROM node:24.21.0-bookworm-slim
WORKDIR /postern
ENV NODE_ENV=production \
    POSTERN_CONFIG=/etc/postern/postern.yaml \
    POSTERN_DATA_DIR=/var/lib/postern
RUN install -d -o node -g node -m 0700 /var/lib/postern
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
USER node
VOLUME /var/lib/postern
EXPOSE 8422

# Mount /etc/postern read-only: postern.yaml, policies/ and the CA key, which must be 0600 and belong
# to uid 1000. Set POSTERN_LISTEN=0.0.0.0:8422 with tls or trustedProxies in the file; run with
# --read-only --cap-drop ALL --security-opt no-new-privileges --ulimit core=0.
# With tls, give a --health-cmd that knows the certificate's name.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", \
  "fetch('http://127.0.0.1:8422/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--disable-proto=delete", "--disable-sigusr1", "--max-semi-space-size=4", "--no-maglev", "--use-largepages=silent", "dist/main.js"]
CMD ["serve"]
