DROP INDEX "alert_deliveries_due";--> statement-breakpoint
CREATE INDEX "alert_deliveries_due" ON "alert_deliveries" USING btree ("receiver","next_attempt_at") WHERE status = 'due';