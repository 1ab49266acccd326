{{- define "pgring.labels" -}}
app.kubernetes.io/name: pgring
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "pgring.selector" -}}
app.kubernetes.io/name: pgring
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
