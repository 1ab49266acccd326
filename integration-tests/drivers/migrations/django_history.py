"""A Django project's migrations, forwards, used, backwards and forwards again, through pgring. Prints `ok <step>` for each step.

Notes are sharded by tenant_id (the configuration says so), everything else is local."""

import os
import sys
import tempfile
import textwrap
from urllib.parse import urlsplit

import django
from django.conf import settings

MODELS = """
    from django.db import models

    class Author(models.Model):
        name = models.CharField(max_length=40, unique=True)
        born = models.DateField(null=True)

        class Meta:
            indexes = [models.Index(fields=["born"], name="author_born")]

    class Note(models.Model):
        tenant_id = models.BigIntegerField()
        title = models.CharField(max_length=80, default="")
        body = models.TextField(blank=True)
        created = models.DateTimeField(auto_now_add=True)
        score = models.DecimalField(max_digits=8, decimal_places=2, default=0)

        class Meta:
            indexes = [models.Index(fields=["tenant_id", "title"], name="note_title")]
            constraints = [models.CheckConstraint(condition=models.Q(score__gte=0), name="note_score")]
"""

MIGRATIONS = {
    "0001_initial": """
    class Migration(migrations.Migration):
        initial = True
        operations = [
            migrations.CreateModel("Author", [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=20)),
            ]),
            migrations.CreateModel("Note", [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tenant_id", models.BigIntegerField()),
                ("text", models.TextField(blank=True)),
                ("created", models.DateTimeField(auto_now_add=True)),
            ]),
            migrations.CreateModel("Draft", [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("author", models.ForeignKey(to="shop.author", on_delete=models.CASCADE)),
            ]),
        ]
    """,
    "0002_change": """
    class Migration(migrations.Migration):
        dependencies = [("shop", "0001_initial")]
        operations = [
            migrations.AddField("note", "title", models.CharField(max_length=80, default="")),
            migrations.AddField("note", "score", models.DecimalField(max_digits=8, decimal_places=2, default=0)),
            migrations.RenameField("note", "text", "body"),
            migrations.AlterField("author", "name", models.CharField(max_length=40, unique=True)),
            migrations.AddField("author", "born", models.DateField(null=True)),
            migrations.AddIndex("note", models.Index(fields=["tenant_id", "title"], name="note_title")),
            migrations.AddConstraint("note", models.CheckConstraint(condition=models.Q(score__gte=0), name="note_score")),
            migrations.DeleteModel("Draft"),
        ]
    """,
    "0003_data": """
    def forwards(apps, schema_editor):
        Author = apps.get_model("shop", "Author")
        Author.objects.bulk_create([Author(name=f"author {n}") for n in range(5)])
        Note = apps.get_model("shop", "Note")
        for tenant in range(1, 9):
            Note.objects.create(tenant_id=tenant, title="first", body=f"of tenant {tenant}")

    def backwards(apps, schema_editor):
        apps.get_model("shop", "Author").objects.all().delete()

    class Migration(migrations.Migration):
        dependencies = [("shop", "0002_change")]
        operations = [migrations.RunPython(forwards, backwards)]
    """,
    "0004_sql": """
    class Migration(migrations.Migration):
        dependencies = [("shop", "0003_data")]
        operations = [
            migrations.RunSQL(
                "CREATE VIEW titles AS SELECT tenant_id, title FROM shop_note", "DROP VIEW titles"),
            migrations.RunSQL(
                ["CREATE FUNCTION shout(t text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT upper(t) $$"],
                ["DROP FUNCTION shout(text)"]),
        ]
    """,
    "0005_concurrently": """
    from django.contrib.postgres.operations import AddIndexConcurrently

    class Migration(migrations.Migration):
        atomic = False
        dependencies = [("shop", "0004_sql")]
        operations = [AddIndexConcurrently("author", models.Index(fields=["born"], name="author_born"))]
    """,
}


def write_project(folder):
    package = os.path.join(folder, "shop")
    os.makedirs(os.path.join(package, "migrations"))
    files = {"__init__.py": "", "migrations/__init__.py": "", "models.py": textwrap.dedent(MODELS)}
    for name, text in MIGRATIONS.items():
        files[f"migrations/{name}.py"] = "from django.db import migrations, models\n" + textwrap.dedent(text)
    for name, text in files.items():
        with open(os.path.join(package, name), "w", encoding="utf-8") as file:
            file.write(text)
    sys.path.insert(0, folder)


def configure():
    dsn = urlsplit(os.environ["PGRING_DSN"])
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
        DATABASES={"default": {
            "ENGINE": "django.db.backends.postgresql", "NAME": dsn.path[1:], "USER": dsn.username,
            "PASSWORD": dsn.password, "HOST": dsn.hostname, "PORT": dsn.port}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
    django.setup()


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_project(folder)
        configure()
        from django.core.management import call_command
        from django.db import connection, transaction

        call_command("migrate", verbosity=0)
        print("ok migrate")
        from django.contrib.auth.models import User
        from shop.models import Author, Note

        assert Author.objects.count() == 5
        assert Note.objects.count() == 8
        assert {note.tenant_id for note in Note.objects.all()} == set(range(1, 9))
        ids = [note.id for note in Note.objects.order_by("id")]
        assert len(set(ids)) == 8, ids
        print("ok the data of a migration")
        with transaction.atomic():
            note = Note.objects.create(tenant_id=3, title="second", score="1.50")
            assert note.id > max(ids)
            Note.objects.filter(tenant_id=3, title="first").update(body="changed")
            with transaction.atomic():
                Note.objects.filter(tenant_id=3, id=note.id).delete()
        assert Note.objects.get(tenant_id=3).body == "changed"
        User.objects.create_user("ann", password="secret")
        assert User.objects.get(username="ann").check_password("secret")
        print("ok the models are used")
        names = connection.introspection.table_names()
        assert "shop_note" in names and "shop_draft" not in names, names
        call_command("makemigrations", "shop", check=True, dry_run=True, verbosity=0)
        call_command("migrate", "shop", "0002", verbosity=0)
        assert Author.objects.count() == 0
        call_command("migrate", "shop", "zero", verbosity=0)
        assert "shop_note" not in connection.introspection.table_names()
        print("ok backwards")
        call_command("migrate", verbosity=0)
        assert Note.objects.filter(tenant_id=5).count() == 1
        call_command("flush", interactive=False, verbosity=0)
        assert Note.objects.count() == 0 and User.objects.count() == 0
        print("ok forwards again, and emptied")
        with connection.schema_editor() as editor:
            editor.execute("CREATE TABLE never (a int)")
            try:
                with transaction.atomic():
                    editor.execute("CREATE TABLE never (b int)")
            except django.db.utils.ProgrammingError:
                pass
        assert "never" in connection.introspection.table_names()
        print("ok a savepoint of a change of schema")


if __name__ == "__main__":
    main()
