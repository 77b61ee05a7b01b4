DROP INDEX "tag_decisions_one";--> statement-breakpoint
ALTER TABLE "tag_decisions" ADD COLUMN "into_id" integer;--> statement-breakpoint
ALTER TABLE "tags" ADD COLUMN "own_status" text DEFAULT 'proposed' NOT NULL;--> statement-breakpoint
ALTER TABLE "tags" ADD COLUMN "joined_once" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "tag_decisions_page" ON "tag_decisions" USING btree ("wiki_id","page_id","tag_id") WHERE page_id is not null;--> statement-breakpoint
CREATE INDEX "tag_decisions_whole" ON "tag_decisions" USING btree ("tag_id") WHERE page_id is null or decided_by <> 'import';--> statement-breakpoint
CREATE INDEX "tag_decisions_into" ON "tag_decisions" USING btree ("into_id") WHERE into_id is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "tag_decisions_one" ON "tag_decisions" USING btree ("wiki_id","page_id","tag_id") WHERE page_id is not null and decided_by = 'import';--> statement-breakpoint
UPDATE "tag_decisions" d SET "into_id" = t."merged_into" FROM "tags" t WHERE d."decision" = 'merged' AND t."id" = d."tag_id";--> statement-breakpoint
INSERT INTO "tag_decisions" ("wiki_id", "tag_id", "into_id", "decision", "decided_by")
SELECT t."wiki_id", t."id", t."merged_into", 'merged', coalesce(t."merged_by", 'tagloom') FROM "tags" t
WHERE t."status" = 'merged' AND NOT EXISTS (SELECT FROM "tag_decisions" d WHERE d."tag_id" = t."id" AND d."decision" = 'merged')
ORDER BY t."id";--> statement-breakpoint
-- Whether a job made a tag that people use now is told by their use of it, or by its approval without a decision.
UPDATE "tags" t SET "own_status" = 'approved'
WHERE t."source" = 'imported'
  OR EXISTS (SELECT FROM "tag_decisions" d WHERE d."tag_id" = t."id" AND d."decision" = 'added')
  OR (t."status" = 'approved' AND NOT EXISTS (SELECT FROM "tag_decisions" d WHERE d."tag_id" = t."id" AND d."page_id" IS NULL));--> statement-breakpoint
-- Decisions bear the name of their key, and these are what the pipeline decides by itself.
UPDATE "api_keys" SET "name" = "name" || ' (key ' || "id" || ')' WHERE lower(btrim("name")) IN ('import', 'tagloom');
--> statement-breakpoint
UPDATE "tags" t SET "joined_once" = true
WHERE EXISTS (SELECT FROM "tag_decisions" d WHERE d."tag_id" = t."id" AND d."decision" = 'merged' AND d."decided_by" = 'tagloom');
