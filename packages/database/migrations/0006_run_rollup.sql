DROP INDEX "jobs_wiki";--> statement-breakpoint
DROP INDEX "alerts_wiki";--> statement-breakpoint
DROP INDEX "clustering_metrics_wiki_id";--> statement-breakpoint
DROP INDEX "clustering_metrics_created_at";--> statement-breakpoint
ALTER TABLE "metric_samples" ALTER COLUMN "data" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "metric_samples" ADD COLUMN "ended_at" timestamp (3) with time zone;--> statement-breakpoint
UPDATE "metric_samples" SET "ended_at" = ("data" ->> 'ended_at')::timestamptz;--> statement-breakpoint
ALTER TABLE "metric_samples" ALTER COLUMN "ended_at" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "wiki_run_totals" ADD COLUMN "revision" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "wiki_run_totals" ADD COLUMN "recent_at" "bytea" DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "wiki_run_totals" ADD COLUMN "recent_metrics" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "wiki_run_totals" ADD COLUMN "recent_figures" "bytea" DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX "jobs_wiki" ON "jobs" USING btree ("wiki_id","created_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "alerts_wiki" ON "alerts" USING btree ("wiki_id","created_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "clustering_metrics_wiki_id" ON "clustering_metrics" USING btree ("wiki_id","created_at" DESC NULLS FIRST,"job_id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "clustering_metrics_created_at" ON "clustering_metrics" USING btree ("created_at" DESC NULLS FIRST);--> statement-breakpoint
-- Brings the roll-up of one wiki to what its runs have become. Triggers call it after the runs are written, so locks are always taken in the
-- order runs, roll-up; each statement here sees what others committed before the lock was given.
CREATE FUNCTION roll_up_runs(of_wiki integer, added jsonb[], removed jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- A wiki that is being deleted takes its roll-up with it.
  INSERT INTO wiki_run_totals (wiki_id) SELECT id FROM wikis WHERE id = of_wiki ON CONFLICT DO NOTHING;
  PERFORM 1 FROM wiki_run_totals WHERE wiki_id = of_wiki FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  WITH
    terms AS (
      SELECT f.key, 1 AS n, f.value::numeric AS sum FROM unnest(added) figures, jsonb_each_text(figures) f WHERE f.value IS NOT NULL
      UNION ALL
      SELECT f.key, -1, -f.value::numeric FROM unnest(removed) figures, jsonb_each_text(figures) f WHERE f.value IS NOT NULL
      UNION ALL
      SELECT kept.key, (kept.value ->> 'n')::int, (kept.value ->> 'sum')::numeric
      FROM wiki_run_totals t, jsonb_each(t.totals) kept WHERE t.wiki_id = of_wiki),
    summed AS (SELECT key, sum(n) AS n, trim_scale(sum(sum)) AS sum FROM terms GROUP BY key HAVING sum(n) > 0),
    newest AS (
      SELECT job_id, created_at, figures FROM clustering_metrics
      WHERE wiki_id = of_wiki AND NOT dry_run ORDER BY created_at DESC, job_id DESC LIMIT 200),
    names AS (SELECT DISTINCT jsonb_object_keys(figures) COLLATE "C" AS name FROM newest),
    columns AS (
      SELECT name, string_agg(float8send(coalesce((figures ->> name)::float8, 'NaN')), ''::bytea ORDER BY created_at, job_id) AS figures
      FROM names CROSS JOIN newest GROUP BY name)
  UPDATE wiki_run_totals SET
    revision = revision + 1,
    runs = runs + cardinality(added) - cardinality(removed),
    totals = coalesce((SELECT jsonb_object_agg(key, jsonb_build_object('n', n, 'sum', sum)) FROM summed), '{}'),
    recent_at = coalesce((SELECT string_agg(float8send(extract(epoch FROM created_at)::float8 * 1000), ''::bytea ORDER BY created_at, job_id) FROM newest), ''),
    recent_metrics = coalesce((SELECT array_agg(name ORDER BY name) FROM names), '{}'),
    recent_figures = coalesce((SELECT string_agg(figures, ''::bytea ORDER BY name) FROM columns), ''),
    baseline_figures = coalesce((SELECT figures FROM clustering_metrics WHERE wiki_id = of_wiki AND job_id = baseline_job_id), baseline_figures)
  WHERE wiki_id = of_wiki;
END $$;
--> statement-breakpoint
CREATE FUNCTION roll_up_changed_runs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change record;
BEGIN
  -- In the order of wikis, so that two statements over several of them cannot wait for each other.
  IF TG_OP = 'INSERT' THEN
    FOR change IN
      SELECT wiki_id, coalesce(array_agg(figures) FILTER (WHERE NOT dry_run), '{}') AS added, '{}'::jsonb[] AS removed
      FROM new_runs GROUP BY wiki_id ORDER BY wiki_id
    LOOP PERFORM roll_up_runs(change.wiki_id, change.added, change.removed); END LOOP;
  ELSIF TG_OP = 'DELETE' THEN
    FOR change IN
      SELECT wiki_id, '{}'::jsonb[] AS added, coalesce(array_agg(figures) FILTER (WHERE NOT dry_run), '{}') AS removed
      FROM old_runs GROUP BY wiki_id ORDER BY wiki_id
    LOOP PERFORM roll_up_runs(change.wiki_id, change.added, change.removed); END LOOP;
  ELSE
    FOR change IN
      SELECT wiki_id, coalesce(array_agg(figures) FILTER (WHERE is_new AND NOT dry_run), '{}') AS added,
        coalesce(array_agg(figures) FILTER (WHERE NOT is_new AND NOT dry_run), '{}') AS removed
      FROM (
        SELECT wiki_id, figures, dry_run, true AS is_new FROM new_runs
        UNION ALL SELECT wiki_id, figures, dry_run, false FROM old_runs) both_sides
      GROUP BY wiki_id ORDER BY wiki_id
    LOOP PERFORM roll_up_runs(change.wiki_id, change.added, change.removed); END LOOP;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_added AFTER INSERT ON clustering_metrics REFERENCING NEW TABLE AS new_runs
  FOR EACH STATEMENT EXECUTE FUNCTION roll_up_changed_runs();
--> statement-breakpoint
CREATE TRIGGER runs_changed AFTER UPDATE ON clustering_metrics REFERENCING OLD TABLE AS old_runs NEW TABLE AS new_runs
  FOR EACH STATEMENT EXECUTE FUNCTION roll_up_changed_runs();
--> statement-breakpoint
CREATE TRIGGER runs_removed AFTER DELETE ON clustering_metrics REFERENCING OLD TABLE AS old_runs
  FOR EACH STATEMENT EXECUTE FUNCTION roll_up_changed_runs();
--> statement-breakpoint
-- Runs recorded so far.
UPDATE wiki_run_totals SET runs = 0, totals = '{}';
--> statement-breakpoint
SELECT roll_up_runs(wiki_id, array_agg(figures) FILTER (WHERE NOT dry_run), '{}') FROM clustering_metrics GROUP BY wiki_id HAVING bool_or(NOT dry_run);
