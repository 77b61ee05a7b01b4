CREATE TABLE "job_vocabulary" (
	"job_id" text NOT NULL,
	"tag_id" integer NOT NULL,
	CONSTRAINT "job_vocabulary_job_id_tag_id_pk" PRIMARY KEY("job_id","tag_id")
);
--> statement-breakpoint
ALTER TABLE "job_vocabulary" ADD CONSTRAINT "job_vocabulary_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "llm_replies_age" ON "llm_replies" USING btree ("used_at");