CREATE TABLE "run_evaluations" (
	"job_id" text PRIMARY KEY NOT NULL,
	"wiki_id" integer NOT NULL,
	"completed_at" timestamp (3) with time zone NOT NULL,
	"expected_samples" integer NOT NULL,
	"evaluated_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "wiki_run_totals" (
	"wiki_id" integer PRIMARY KEY NOT NULL,
	"runs" integer DEFAULT 0 NOT NULL,
	"totals" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"baseline_job_id" text,
	"baseline_figures" jsonb,
	"baseline_set_by" text
);
--> statement-breakpoint
ALTER TABLE "alerts" ADD COLUMN "raised_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "clustering_metrics" ADD COLUMN "dry_run" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clustering_metrics" ADD COLUMN "figures" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "run_evaluations" ADD CONSTRAINT "run_evaluations_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "wiki_run_totals" ADD CONSTRAINT "wiki_run_totals_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "run_evaluations_due" ON "run_evaluations" USING btree ("wiki_id","completed_at","job_id") WHERE evaluated_at is null;--> statement-breakpoint
CREATE INDEX "alert_deliveries_alert" ON "alert_deliveries" USING btree ("alert_id","id");--> statement-breakpoint
CREATE INDEX "metric_samples_age" ON "metric_samples" USING btree ("recorded_at");