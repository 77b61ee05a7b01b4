CREATE TABLE "llm_calls" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "llm_calls_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"job_id" text NOT NULL,
	"batch" integer NOT NULL,
	"outcome" text,
	"latency_ms" double precision,
	"tokens_in" bigint DEFAULT 0 NOT NULL,
	"tokens_out" bigint DEFAULT 0 NOT NULL,
	"cost_usd" double precision DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "llm_calls" ADD CONSTRAINT "llm_calls_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "llm_calls_batch" ON "llm_calls" USING btree ("job_id","batch");--> statement-breakpoint
-- What running jobs have spent counts against their budgets; their records have it from the batches that it was spent in.
INSERT INTO "llm_calls" ("job_id", "batch", "outcome", "tokens_in", "cost_usd") SELECT "job_id", -1, 'read', "tokens", "cost_usd" FROM "llm_spending";--> statement-breakpoint
DROP TABLE "llm_spending" CASCADE;
