ALTER TABLE "run_evaluations" ADD COLUMN "failures" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "run_evaluations" ADD COLUMN "retry_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "run_evaluations" ADD COLUMN "gave_up" text;