{{/* What all containers of the shim have in common. */}}
{{- define "shim.probes" -}}
# healthz does not depend on the server, because a server that is down must not restart the shim.
startupProbe:
  httpGet: {path: /healthz, port: {{ .admin }}}
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: {{ .admin }}}
  periodSeconds: 10
{{- end -}}

{{- define "shim.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* For the server's own Pod: an init container that stays. */}}
{{- define "shim.sidecar" -}}
- name: shim
  image: {{ include "shim.image" . }}
  restartPolicy: Always   # a native sidecar: starts before the server, ends after it
  args: [run, --upstream, "http://127.0.0.1:7701"]
  ports:
    - {name: shim, containerPort: 7700}
    - {name: shim-admin, containerPort: 9700}
  {{- include "shim.probes" (dict "admin" "shim-admin") | nindent 2 }}
  readinessProbe:
    httpGet: {path: /readyz, port: shim-admin}
    periodSeconds: 3
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    {{- include "shim.containerSecurity" . | nindent 4 }}
    seccompProfile: {type: RuntimeDefault}
{{- end -}}
