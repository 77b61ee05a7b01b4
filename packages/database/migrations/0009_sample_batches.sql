CREATE TABLE "metric_sample_batches" (
	"job_id" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "metric_sample_batches_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"keys" text NOT NULL,
	"samples" text NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "metric_sample_batches_job_id_id_pk" PRIMARY KEY("job_id","id")
);
--> statement-breakpoint
INSERT INTO "metric_sample_batches" ("job_id", "keys", "samples", "recorded_at")
SELECT "job_id", string_agg("stage" || '/' || "batch", E'\n' ORDER BY "stage", "batch"),
  string_agg(replace("data"::text, E'\n', ' '), E'\n' ORDER BY "stage", "batch"), max("recorded_at")
FROM "metric_samples" WHERE "batch" !~ '[\x01-\x1f]' GROUP BY "job_id";--> statement-breakpoint
DROP TABLE "metric_samples" CASCADE;--> statement-breakpoint
CREATE INDEX "metric_sample_batches_age" ON "metric_sample_batches" USING btree ("recorded_at");--> statement-breakpoint
CREATE VIEW "public"."metric_samples" AS (
  select distinct on (job_id, stage, batch)
    job_id, stage, batch, (data ->> 'wiki_id')::integer as wiki_id, (data ->> 'ended_at')::timestamptz(3) as ended_at, data, recorded_at
  from (
    select b.job_id, split_part(l.key, '/', 1) as stage, substr(l.key, strpos(l.key, '/') + 1) as batch, l.sample::json as data, b.recorded_at
    from metric_sample_batches b
    cross join lateral rows from (string_to_table(b.keys, E'\n'), string_to_table(b.samples, E'\n')) l (key, sample)
  ) s
  order by job_id, stage, batch, (data ->> 'ended_at')::timestamptz desc, data::text collate "C" desc, recorded_at);