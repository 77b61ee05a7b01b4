CREATE TABLE "tag_form_version" (
	"version" integer PRIMARY KEY NOT NULL
);
