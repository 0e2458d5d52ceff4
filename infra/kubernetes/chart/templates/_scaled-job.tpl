{{- /*
A worker for one queue as KEDA's ScaledJob: a Job is made while tasks wait that nobody has taken, and ends by itself.
Nothing ever takes a running one away: that is why it is no ScaledObject.
*/ -}}
{{- define "siglip2.scaledJob" -}}
{{- $pool := .pool -}}
{{- $root := .root -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata:
  name: {{ include "siglip2.name" $root }}-{{ .which }}
  labels:
    {{- include "siglip2.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .which }}
spec:
  pollingInterval: {{ $pool.pollingSeconds }}
  minReplicaCount: 0
  maxReplicaCount: {{ $pool.maxWorkers }}
  successfulJobsHistoryLimit: 5
  failedJobsHistoryLimit: 5
  # An upgrade of the chart leaves running jobs alone (keda 6440): they end by themselves, and the next ones are new.
  rollout:
    strategy: gradual
  scalingStrategy:
    # The backlog counts only tasks that nobody has taken: running jobs must not be subtracted from it.
    strategy: accurate
    # A job counts as on its way until its worker serves the queue, not only until its container runs.
    pendingPodConditions: [Ready]
  triggers:
    - type: temporal
      {{- if ne $root.Values.temporal.auth "none" }}
      authenticationRef:
        name: {{ include "siglip2.name" $root }}-temporal
      {{- end }}
      metadata:
        endpoint: {{ include "siglip2.temporalAddress" $root | quote }}
        namespace: {{ $root.Values.temporal.namespace | quote }}
        taskQueue: {{ .queue | quote }}
        queueTypes: activity
        targetQueueSize: "1"
        activationTargetQueueSize: "0"
        {{- if $root.Values.temporal.serverName }}
        tlsServerName: {{ $root.Values.temporal.serverName | quote }}
        {{- end }}
  jobTargetRef:
    parallelism: 1
    completions: 1
    # A worker that can't work is tried again ever more seldom. A Job that waits so counts as pending, so KEDA makes no more.
    backoffLimit: 6
    podReplacementPolicy: Failed
    podFailurePolicy:
      rules:
        # The node went away, or its spot price did: that is nobody's fault, and is not counted.
        - action: Ignore
          onPodConditions:
            - { type: DisruptionTarget, status: "True" }
        # So it ends when it was told to go (20), also before it could commit (21): the last commit stands, another goes on.
        - action: Ignore
          onExitCodes:
            containerName: worker
            operator: In
            values: [20, 21]
    template:
      metadata:
        labels:
          {{- include "siglip2.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .which }}
        annotations:
          # KEDA is not alone in ending pods: these keep nodes from being emptied under a worker to save money.
          cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
          karpenter.sh/do-not-disrupt: "true"
      spec:
        restartPolicy: Never
        serviceAccountName: {{ include "siglip2.name" $root }}
        automountServiceAccountToken: false
        enableServiceLinks: false
        terminationGracePeriodSeconds: {{ $pool.terminationGracePeriodSeconds }}
        {{- with $pool.runtimeClassName }}
        runtimeClassName: {{ . }}
        {{- end }}
        {{- with $root.Values.images.pullSecrets }}
        imagePullSecrets:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        securityContext:
          {{- include "siglip2.podSecurity" $root | nindent 10 }}
        {{- include "siglip2.scheduling" $pool | nindent 8 }}
        containers:
          - name: worker
            image: {{ include "siglip2.image" (dict "root" $root "target" (ternary "worker-cuda" "worker-cpu" (eq $pool.kind "gpu"))) | quote }}
            imagePullPolicy: {{ $root.Values.images.pullPolicy }}
            args:
              - worker
              - --queues={{ .queue }}
              - --exit-when-idle={{ $pool.exitWhenIdle }}
              {{- with $pool.maxShards }}
              - --max-shards={{ . }}
              {{- end }}
              {{- with $pool.maxHours }}
              - --max-hours={{ . }}
              {{- end }}
              {{- with $pool.noticeUrl }}
              - --notice-url={{ . }}
              {{- end }}
            env:
              {{- include "siglip2.env" . | nindent 14 }}
              - name: SIGLIP2_DEVICE
                value: {{ $pool.kind | quote }}
            {{- include "siglip2.probes" $root | nindent 12 }}
            resources:
              {{- include "siglip2.resources" . | nindent 14 }}
            securityContext:
              {{- include "siglip2.containerSecurity" $root | nindent 14 }}
            volumeMounts:
              {{- include "siglip2.mounts" . | nindent 14 }}
        volumes:
          {{- include "siglip2.volumes" . | nindent 10 }}
{{- end }}
