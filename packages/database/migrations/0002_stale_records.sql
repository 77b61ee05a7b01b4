ALTER TABLE "run_evaluations" ADD COLUMN "stale" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "run_evaluations_stale" ON "run_evaluations" USING btree ("job_id") WHERE stale;