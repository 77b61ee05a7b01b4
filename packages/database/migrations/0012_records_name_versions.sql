-- Records of before were made when samples named neither the code that ran nor the language model.
UPDATE "clustering_metrics" SET "metrics_json" = jsonb_set(
  "metrics_json", '{provenance}', '{"versions": {}, "labeller_model": null}'::jsonb || ("metrics_json" -> 'provenance')
) WHERE "metrics_json" ? 'provenance';
