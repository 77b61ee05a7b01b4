CREATE TABLE "cluster_members" (
	"job_id" text NOT NULL,
	"layer" integer NOT NULL,
	"page_id" bigint NOT NULL,
	"cluster_no" integer NOT NULL,
	"strength" real NOT NULL,
	"attached" boolean DEFAULT false NOT NULL,
	CONSTRAINT "cluster_members_job_id_layer_page_id_pk" PRIMARY KEY("job_id","layer","page_id")
);
--> statement-breakpoint
CREATE TABLE "clusterings" (
	"job_id" text PRIMARY KEY NOT NULL,
	"figures" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "clusters" (
	"job_id" text NOT NULL,
	"no" integer NOT NULL,
	"layer" integer NOT NULL,
	"parent_no" integer,
	"chosen" boolean NOT NULL,
	"size" integer NOT NULL,
	"strength" real NOT NULL,
	"centroid" "bytea" NOT NULL,
	"join_threshold" real NOT NULL,
	"lineage_id" text NOT NULL,
	"lineage_event" text NOT NULL,
	"lineage_from" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"keyphrases" jsonb,
	"proposals" jsonb,
	CONSTRAINT "clusters_job_id_no_pk" PRIMARY KEY("job_id","no")
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"consumer" text NOT NULL,
	"message_id" text NOT NULL,
	"handled_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "inbox_consumer_message_id_pk" PRIMARY KEY("consumer","message_id")
);
--> statement-breakpoint
CREATE TABLE "job_batches" (
	"job_id" text NOT NULL,
	"stage" text NOT NULL,
	"no" integer NOT NULL,
	"payload" jsonb NOT NULL,
	"result" jsonb,
	"done_at" timestamp (3) with time zone,
	CONSTRAINT "job_batches_job_id_stage_no_pk" PRIMARY KEY("job_id","stage","no")
);
--> statement-breakpoint
CREATE TABLE "job_pages" (
	"job_id" text NOT NULL,
	"page_id" bigint NOT NULL,
	"content_hash" text NOT NULL,
	CONSTRAINT "job_pages_job_id_page_id_pk" PRIMARY KEY("job_id","page_id")
);
--> statement-breakpoint
CREATE TABLE "job_stages" (
	"job_id" text NOT NULL,
	"stage" text NOT NULL,
	"done" integer DEFAULT 0 NOT NULL,
	"total" integer NOT NULL,
	"started_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"progressed_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone,
	CONSTRAINT "job_stages_job_id_stage_pk" PRIMARY KEY("job_id","stage")
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"wiki_id" integer NOT NULL,
	"status" text NOT NULL,
	"options" jsonb NOT NULL,
	"dry_run" boolean DEFAULT false NOT NULL,
	"idempotency_key" text,
	"request_hash" text,
	"requested_by" integer,
	"request_id" text,
	"traceparent" text,
	"attempt" integer DEFAULT 1 NOT NULL,
	"error_code" text,
	"error_reason" text,
	"model" text,
	"previous_job_id" text,
	"summary" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"subject" text NOT NULL,
	"message_id" text NOT NULL,
	"body" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "alert_deliveries" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alert_deliveries_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"alert_id" integer NOT NULL,
	"event" text NOT NULL,
	"receiver" text NOT NULL,
	"delivery_key" text NOT NULL,
	"status" text DEFAULT 'due' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_result" text,
	"log" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "alert_rules" (
	"wiki_id" integer PRIMARY KEY NOT NULL,
	"rules" jsonb NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_by" text
);
--> statement-breakpoint
CREATE TABLE "alert_silences" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alert_silences_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"wiki_id" integer NOT NULL,
	"rule" text,
	"reason" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ends_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "alert_transitions" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alert_transitions_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"alert_id" integer NOT NULL,
	"from_state" text,
	"to_state" text NOT NULL,
	"job_id" text,
	"value" double precision,
	"by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "alerts" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alerts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"wiki_id" integer NOT NULL,
	"rule" text NOT NULL,
	"severity" text NOT NULL,
	"state" text NOT NULL,
	"metric" text NOT NULL,
	"value" double precision,
	"threshold" double precision NOT NULL,
	"message" text NOT NULL,
	"action" text NOT NULL,
	"runbook" text,
	"runs_crossed" integer DEFAULT 0 NOT NULL,
	"runs_clear" integer DEFAULT 0 NOT NULL,
	"first_job_id" text,
	"last_job_id" text,
	"open" boolean DEFAULT true NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"resolved_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "clustering_metrics" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "clustering_metrics_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"wiki_id" integer NOT NULL,
	"job_id" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"total_duration_seconds" double precision,
	"clustering_duration_seconds" double precision,
	"tag_generation_duration_seconds" double precision,
	"propagation_duration_seconds" double precision,
	"cluster_count" integer,
	"avg_cluster_size" double precision,
	"outlier_count" integer,
	"silhouette_score" double precision,
	"pages_processed" integer,
	"pages_tagged" integer,
	"total_tags_applied" integer,
	"avg_tags_per_page" double precision,
	"llm_failures" integer,
	"parsing_errors" integer,
	"total_errors" integer,
	"metrics_json" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "metric_samples" (
	"job_id" text NOT NULL,
	"stage" text NOT NULL,
	"batch" text NOT NULL,
	"wiki_id" integer NOT NULL,
	"data" jsonb NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "metric_samples_job_id_stage_batch_pk" PRIMARY KEY("job_id","stage","batch")
);
--> statement-breakpoint
CREATE TABLE "cluster_tags" (
	"job_id" text NOT NULL,
	"cluster_no" integer NOT NULL,
	"tag_id" integer NOT NULL,
	"confidence" real NOT NULL,
	"method" text NOT NULL,
	"rank" integer NOT NULL,
	CONSTRAINT "cluster_tags_job_id_cluster_no_tag_id_pk" PRIMARY KEY("job_id","cluster_no","tag_id")
);
--> statement-breakpoint
CREATE TABLE "llm_replies" (
	"request_hash" text PRIMARY KEY NOT NULL,
	"reply" jsonb NOT NULL,
	"used_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "llm_slots" (
	"slot" integer PRIMARY KEY NOT NULL,
	"holder" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "page_tags" (
	"job_id" text NOT NULL,
	"page_id" bigint NOT NULL,
	"tag_id" integer NOT NULL,
	"confidence" real NOT NULL,
	"origin" text NOT NULL,
	"cluster_no" integer,
	"batch_no" integer NOT NULL,
	CONSTRAINT "page_tags_job_id_page_id_tag_id_pk" PRIMARY KEY("job_id","page_id","tag_id")
);
--> statement-breakpoint
CREATE TABLE "tag_decisions" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "tag_decisions_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"wiki_id" integer NOT NULL,
	"page_id" bigint,
	"tag_id" integer,
	"decision" text NOT NULL,
	"decided_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tags" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "tags_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"wiki_id" integer NOT NULL,
	"label" text NOT NULL,
	"normalised" text NOT NULL,
	"status" text NOT NULL,
	"source" text NOT NULL,
	"merged_into" integer,
	"merged_by" text,
	"parent_id" integer,
	"embedding" "bytea",
	"model" text,
	"created_by_job" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "api_keys_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"scopes" jsonb NOT NULL,
	"wiki_ids" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "page_embeddings" (
	"page_id" bigint NOT NULL,
	"model" text NOT NULL,
	"content_hash" text NOT NULL,
	"dims" integer NOT NULL,
	"tokens" integer NOT NULL,
	"vector" "bytea",
	CONSTRAINT "page_embeddings_page_id_model_pk" PRIMARY KEY("page_id","model")
);
--> statement-breakpoint
CREATE TABLE "pages" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "pages_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"wiki_id" integer NOT NULL,
	"external_id" text NOT NULL,
	"title" text NOT NULL,
	"text" text NOT NULL,
	"content_hash" text NOT NULL,
	"gold_label" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "wikis" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "wikis_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"current_job_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "clusterings" ADD CONSTRAINT "clusterings_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "clusters" ADD CONSTRAINT "clusters_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_pages" ADD CONSTRAINT "job_pages_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_stages" ADD CONSTRAINT "job_stages_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_deliveries" ADD CONSTRAINT "alert_deliveries_alert_id_alerts_id_fk" FOREIGN KEY ("alert_id") REFERENCES "public"."alerts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_rules" ADD CONSTRAINT "alert_rules_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_silences" ADD CONSTRAINT "alert_silences_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_transitions" ADD CONSTRAINT "alert_transitions_alert_id_alerts_id_fk" FOREIGN KEY ("alert_id") REFERENCES "public"."alerts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alerts" ADD CONSTRAINT "alerts_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "clustering_metrics" ADD CONSTRAINT "clustering_metrics_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "clustering_metrics" ADD CONSTRAINT "clustering_metrics_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tag_decisions" ADD CONSTRAINT "tag_decisions_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tags" ADD CONSTRAINT "tags_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "page_embeddings" ADD CONSTRAINT "page_embeddings_page_id_pages_id_fk" FOREIGN KEY ("page_id") REFERENCES "public"."pages"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pages" ADD CONSTRAINT "pages_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "cluster_members_cluster" ON "cluster_members" USING btree ("job_id","cluster_no");--> statement-breakpoint
CREATE INDEX "clusters_layer" ON "clusters" USING btree ("job_id","layer");--> statement-breakpoint
CREATE INDEX "inbox_age" ON "inbox" USING btree ("handled_at");--> statement-breakpoint
CREATE INDEX "jobs_wiki" ON "jobs" USING btree ("wiki_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_idempotency" ON "jobs" USING btree ("wiki_id","idempotency_key");--> statement-breakpoint
CREATE INDEX "jobs_open" ON "jobs" USING btree ("status") WHERE status in ('queued', 'running');--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_one_running" ON "jobs" USING btree ("wiki_id") WHERE status = 'running';--> statement-breakpoint
CREATE UNIQUE INDEX "alert_deliveries_key" ON "alert_deliveries" USING btree ("delivery_key");--> statement-breakpoint
CREATE INDEX "alert_deliveries_due" ON "alert_deliveries" USING btree ("next_attempt_at") WHERE status = 'due';--> statement-breakpoint
CREATE INDEX "alert_transitions_alert" ON "alert_transitions" USING btree ("alert_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "alerts_one_open" ON "alerts" USING btree ("wiki_id","rule") WHERE open;--> statement-breakpoint
CREATE INDEX "alerts_wiki" ON "alerts" USING btree ("wiki_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "clustering_metrics_job" ON "clustering_metrics" USING btree ("job_id");--> statement-breakpoint
CREATE INDEX "clustering_metrics_wiki_id" ON "clustering_metrics" USING btree ("wiki_id","created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "clustering_metrics_created_at" ON "clustering_metrics" USING btree ("created_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "page_tags_tag" ON "page_tags" USING btree ("job_id","tag_id");--> statement-breakpoint
CREATE UNIQUE INDEX "tag_decisions_one" ON "tag_decisions" USING btree ("wiki_id","page_id","tag_id") WHERE page_id is not null;--> statement-breakpoint
CREATE INDEX "tag_decisions_wiki" ON "tag_decisions" USING btree ("wiki_id");--> statement-breakpoint
CREATE UNIQUE INDEX "tags_form" ON "tags" USING btree ("wiki_id","normalised");--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_hash" ON "api_keys" USING btree ("hash");--> statement-breakpoint
CREATE UNIQUE INDEX "pages_external" ON "pages" USING btree ("wiki_id","external_id");--> statement-breakpoint
CREATE INDEX "pages_wiki" ON "pages" USING btree ("wiki_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "wikis_name" ON "wikis" USING btree ("name");