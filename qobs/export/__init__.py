"""For machines that watch: Prometheus exposition, and later OTLP, rules and dashboards."""
