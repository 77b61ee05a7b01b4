CREATE TABLE "assigned_pages" (
	"assignment_id" text NOT NULL,
	"page_id" bigint NOT NULL,
	"outcome" text DEFAULT 'waiting' NOT NULL,
	"cluster_no" integer,
	"similarity" real,
	"content_hash" text,
	CONSTRAINT "assigned_pages_assignment_id_page_id_pk" PRIMARY KEY("assignment_id","page_id")
);
--> statement-breakpoint
CREATE TABLE "assignments" (
	"id" text PRIMARY KEY NOT NULL,
	"wiki_id" integer NOT NULL,
	"job_id" text NOT NULL,
	"status" text NOT NULL,
	"failure" text,
	"left_for_later" integer NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "assigned_pages" ADD CONSTRAINT "assigned_pages_assignment_id_assignments_id_fk" FOREIGN KEY ("assignment_id") REFERENCES "public"."assignments"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "assigned_pages" ADD CONSTRAINT "assigned_pages_page_id_pages_id_fk" FOREIGN KEY ("page_id") REFERENCES "public"."pages"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "assignments" ADD CONSTRAINT "assignments_wiki_id_wikis_id_fk" FOREIGN KEY ("wiki_id") REFERENCES "public"."wikis"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "assignments" ADD CONSTRAINT "assignments_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "assigned_pages_page" ON "assigned_pages" USING btree ("page_id");--> statement-breakpoint
CREATE INDEX "assignments_wiki" ON "assignments" USING btree ("wiki_id","created_at");--> statement-breakpoint
CREATE INDEX "assignments_job" ON "assignments" USING btree ("job_id");