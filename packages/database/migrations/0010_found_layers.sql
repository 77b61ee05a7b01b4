CREATE TABLE "found_layers" (
	"job_id" text NOT NULL,
	"from_chosen" integer NOT NULL,
	"resolution" double precision NOT NULL,
	"pages" "bytea" NOT NULL,
	"communities" "bytea" NOT NULL,
	CONSTRAINT "found_layers_job_id_from_chosen_pk" PRIMARY KEY("job_id","from_chosen")
);
--> statement-breakpoint
ALTER TABLE "found_layers" ADD CONSTRAINT "found_layers_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;