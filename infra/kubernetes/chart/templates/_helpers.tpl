{{- define "siglip2.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "siglip2.selector" -}}
app.kubernetes.io/name: siglip2-runner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "siglip2.labels" -}}
{{ include "siglip2.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "siglip2.image" -}}
{{- $of := .root.Values.images -}}
{{- $name := required "images.repository is empty; set it to where you pushed the images (infra/images/README.md)" $of.repository -}}
{{- $digest := get $of.digests .target -}}
{{- if $digest -}}
{{ $name }}@{{ $digest }}
{{- else -}}
{{ $name }}:{{ $of.version | default .root.Chart.AppVersion }}-{{ .target }}
{{- end -}}
{{- end }}

{{- /* Ten seconds are left for what follows a commit: answering Temporal, and ending the trainer. */ -}}
{{- define "siglip2.grace" -}}
{{- $seconds := int .pool.terminationGracePeriodSeconds -}}
{{- if lt $seconds 15 -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d; allowed are 15 and more, of which a worker has all but ten for its commit" .which $seconds) -}}
{{- end -}}
{{- $grace := sub $seconds 10 -}}
{{- $commit := int (.pool.commitSeconds | default 0) -}}
{{- if and (gt $commit 0) (le $grace (int64 $commit)) -}}
{{- fail (printf "a commit takes %d s (%s.commitSeconds) and a worker that is told to end has %d s (%s.terminationGracePeriodSeconds less ten); raise the second where your machines leave so long, or train a smaller model there" $commit .which $grace .which) -}}
{{- end -}}
{{ $grace }}
{{- end }}

{{- define "siglip2.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "siglip2.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "siglip2.env" -}}
{{- $root := .root -}}
{{- with $root.Values.temporal }}
- name: TEMPORAL_ADDRESS
  value: {{ include "siglip2.temporalAddress" $root | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .namespace | quote }}
{{- if eq .auth "apiKey" }}
- name: TEMPORAL_API_KEY
  valueFrom: { secretKeyRef: { name: {{ include "siglip2.temporalSecret" $root | quote }}, key: api-key } }
{{- else if eq .auth "mtls" }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /secrets/temporal/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /secrets/temporal/tls.key
{{- if .ownAuthority }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /secrets/temporal/ca.crt
{{- end }}
{{- end }}
{{- if .serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ .serverName | quote }}
{{- end }}
{{- end }}
{{- with $root.Values.store }}
- name: SIGLIP2_BUCKET
  value: {{ required "store.bucket is empty; set the name of the bucket" .bucket | quote }}
- name: AWS_REGION
  value: {{ .region | quote }}
{{- if .endpoint }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ .endpoint | quote }}
{{- end }}
{{- if eq .credentials "secret" }}
{{- $secret := required "store.secret is empty; make a Secret with access-key-id and secret-access-key and name it here, or set store.credentials to identity" .secret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: { secretKeyRef: { name: {{ $secret | quote }}, key: access-key-id } }
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ $secret | quote }}, key: secret-access-key } }
{{- end }}
{{- end }}
{{- if $root.Values.payloadSecret }}
- name: SIGLIP2_PAYLOAD_KEY
  valueFrom: { secretKeyRef: { name: {{ $root.Values.payloadSecret | quote }}, key: key } }
{{- end }}
- name: SIGLIP2_GRACE
  value: {{ include "siglip2.grace" . | quote }}
- name: SIGLIP2_METRICS
  value: "0.0.0.0:9464"
- name: SIGLIP2_LOG
  value: {{ $root.Values.log | quote }}
{{- end }}

{{- define "siglip2.temporalAddress" -}}
{{- $address := required "temporal.address is empty; set the address of Temporal, HOST:PORT" .Values.temporal.address -}}
{{- if not (regexMatch "^[^:/]+:[0-9]+$" $address) -}}
{{- fail (printf "temporal.address is %q; it has to be HOST:PORT, such as my-namespace.a1b2c.tmprl.cloud:7233" $address) -}}
{{- end -}}
{{ $address }}
{{- end }}

{{- define "siglip2.temporalSecret" -}}
{{ required (printf "temporal.auth is %s and temporal.secret is empty; make the Secret and name it there" .Values.temporal.auth) .Values.temporal.secret }}
{{- end }}

{{- /* The images keep all that they write on one volume, and nothing of it is missed after the pod. */ -}}
{{- define "siglip2.mounts" -}}
- { name: data, mountPath: /var/lib/siglip2 }
- { name: tmp, mountPath: /tmp }
{{- if eq .root.Values.temporal.auth "mtls" }}
- { name: temporal-tls, mountPath: /secrets/temporal, readOnly: true }
{{- end }}
{{- end }}

{{- define "siglip2.volumes" -}}
- name: data
  emptyDir: { sizeLimit: {{ .pool.diskGiB }}Gi }
- name: tmp
  emptyDir: { sizeLimit: 1Gi }
{{- if eq .root.Values.temporal.auth "mtls" }}
- name: temporal-tls
  secret: { secretName: {{ include "siglip2.temporalSecret" .root | quote }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{- /* The disk is asked for, so that no node gives it twice; /tmp and the log have a GiB each. */ -}}
{{- define "siglip2.resources" -}}
{{- $disk := printf "%dGi" (add (int .pool.diskGiB) 2) -}}
{{- $requests := merge (dict "ephemeral-storage" $disk) .pool.resources.requests -}}
{{- $limits := merge (dict "ephemeral-storage" $disk) .pool.resources.limits -}}
{{- if eq (.pool.kind | default "") "gpu" -}}
{{- $_ := set $limits .pool.gpuResource 1 -}}
{{- $_ := set $requests .pool.gpuResource 1 -}}
{{- end -}}
{{ toYaml (dict "requests" $requests "limits" $limits) }}
{{- end }}

{{- define "siglip2.probes" -}}
ports:
  - { name: metrics, containerPort: 9464 }
# Bundling the workflows and loading the library take seconds; the port answers before that.
startupProbe:
  httpGet: { path: /live, port: metrics }
  periodSeconds: 5
  failureThreshold: 60
# A step never holds up the process that answers: who says nothing for five minutes is gone.
livenessProbe:
  httpGet: { path: /live, port: metrics }
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 10
readinessProbe:
  httpGet: { path: /ready, port: metrics }
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "siglip2.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
