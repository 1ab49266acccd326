"""An Alembic history, upgraded, compared with its metadata, downgraded and upgraded again, through pgring. Prints `ok <step>`.

The table `entry` is sharded by tenant_id (the configuration says so)."""

import os
import tempfile
import textwrap

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

ENV = """
    from alembic import context
    from sqlalchemy import create_engine

    connectable = create_engine(context.config.get_main_option("sqlalchemy.url"))
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=context.config.attributes["metadata"],
                          transaction_per_migration=context.config.attributes["each"])
        with context.begin_transaction():
            context.run_migrations()
"""

VERSIONS = [
    ("a1", None, """
    def upgrade():
        mood = sa.Enum("glad", "sad", name="mood")
        op.create_table(
            "entry",
            sa.Column("id", sa.BigInteger, primary_key=True),
            sa.Column("tenant_id", sa.Integer, nullable=False),
            sa.Column("text", sa.Text),
            sa.Column("mood", mood, server_default="glad"))
        op.create_table(
            "label", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20), nullable=False))
        op.create_index("label_name", "label", ["name"], unique=True)

    def downgrade():
        op.drop_table("label")
        op.drop_table("entry")
        op.execute("DROP TYPE mood")
    """),
    ("b2", "a1", """
    def upgrade():
        op.add_column("entry", sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False))
        op.alter_column("entry", "text", new_column_name="body")
        op.create_index("entry_made", "entry", ["tenant_id", "made"])
        op.create_check_constraint("label_short", "label", "length(name) < 20")
        op.alter_column("label", "name", type_=sa.String(40), existing_type=sa.String(20))
        op.create_table_comment("entry", "what was written")

    def downgrade():
        op.drop_constraint("label_short", "label")
        op.drop_index("entry_made")
        op.alter_column("entry", "body", new_column_name="text")
        op.drop_column("entry", "made")
    """),
    ("c3", "b2", """
    def upgrade():
        labels = sa.table("label", sa.column("name", sa.String))
        op.bulk_insert(labels, [{"name": "red"}, {"name": "blue"}])
        with op.get_context().autocommit_block():
            op.execute("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm'")
            op.create_index("label_lower", "label", [sa.text("lower(name)")], postgresql_concurrently=True)

    def downgrade():
        op.drop_index("label_lower")
        op.execute("DELETE FROM label")
    """),
]


class Base(DeclarativeBase):
    pass


class Entry(Base):
    __tablename__ = "entry"
    __table_args__ = (sa.Index("entry_made", "tenant_id", "made"), {"comment": "what was written"})
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    tenant_id: Mapped[int]
    body: Mapped[str | None] = mapped_column(sa.Text)
    mood: Mapped[str | None] = mapped_column(sa.Enum("glad", "sad", "calm", name="mood"), server_default="glad")
    made: Mapped[object] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())


def write_history(folder):
    os.makedirs(os.path.join(folder, "versions"))
    with open(os.path.join(folder, "env.py"), "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(ENV))
    for revision, before, text in VERSIONS:
        head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision = {revision!r}\ndown_revision = {before!r}\n"
        with open(os.path.join(folder, "versions", f"{revision}.py"), "w", encoding="utf-8") as file:
            file.write(head + textwrap.dedent(text))


def main():
    url = os.environ["PGRING_DSN"].replace("postgresql://", "postgresql+psycopg://")
    with tempfile.TemporaryDirectory() as folder:
        write_history(folder)
        config = Config()
        config.set_main_option("script_location", folder)
        config.set_main_option("sqlalchemy.url", url)
        config.attributes.update(metadata=Base.metadata, each=True)
        command.upgrade(config, "head")
        print("ok upgrade")
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "c3"
            inspector = sa.inspect(connection)
            assert {column["name"] for column in inspector.get_columns("entry")} == {
                "id", "tenant_id", "body", "mood", "made"}
            assert inspector.get_table_comment("entry")["text"] == "what was written"
        print("ok inspected")
        ids = []
        with Session(engine) as session:
            for tenant in range(12):
                entry = Entry(tenant_id=tenant, body=f"of {tenant}", mood="calm" if tenant % 2 else None)
                session.add(entry)
                session.flush()
                ids.append(entry.id)
            session.commit()
        assert ids == sorted(set(ids)), ids
        with Session(engine) as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(Entry)) == 12
            assert session.scalars(sa.select(Entry.body).where(Entry.tenant_id == 7)).one() == "of 7"
            assert session.scalar(sa.text("SELECT count(*) FROM label")) == 2
        print("ok the models are used")
        command.downgrade(config, "a1")
        with engine.connect() as connection:
            assert "text" in {column["name"] for column in sa.inspect(connection).get_columns("entry")}
        command.downgrade(config, "base")
        with engine.connect() as connection:
            assert not sa.inspect(connection).has_table("entry")
        print("ok downgrade")
        config.attributes.update(each=False)
        command.upgrade(config, "b2")
        with engine.connect() as connection:
            assert sa.inspect(connection).has_table("label")
        print("ok upgrade again, in one transaction")


if __name__ == "__main__":
    main()
