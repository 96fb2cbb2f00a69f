-- What pg_dump 15 writes for a small database, functions and types left out.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA s2;
ALTER SCHEMA s2 OWNER TO postgres;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.child (
    id bigint NOT NULL,
    pid integer,
    v numeric(10,2)
);
ALTER TABLE public.child OWNER TO postgres;
ALTER TABLE public.child ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.child_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.parent (
    id integer NOT NULL,
    name text DEFAULT 'x'::text NOT NULL,
    ts timestamp with time zone DEFAULT now(),
    CONSTRAINT parent_name_check CHECK ((length(name) > 0))
);
ALTER TABLE public.parent OWNER TO postgres;
COMMENT ON TABLE public.parent IS 'hello';
CREATE SEQUENCE public.parent_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER TABLE public.parent_id_seq OWNER TO postgres;
ALTER SEQUENCE public.parent_id_seq OWNED BY public.parent.id;
CREATE SEQUENCE public.sq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER TABLE public.sq OWNER TO postgres;
CREATE VIEW public.w AS
 SELECT p.id,
    count(*) AS count
   FROM (public.parent p
     JOIN public.child c ON ((c.pid = p.id)))
  GROUP BY p.id;
ALTER TABLE public.w OWNER TO postgres;
CREATE TABLE s2.t (
    a integer,
    b text
);
ALTER TABLE s2.t OWNER TO postgres;
ALTER TABLE ONLY public.parent ALTER COLUMN id SET DEFAULT nextval('public.parent_id_seq'::regclass);
COPY public.child (id, pid, v) FROM stdin;
COPY public.parent (id, name, ts) FROM stdin;
COPY s2.t (a, b) FROM stdin;
SELECT pg_catalog.setval('public.child_id_seq', 1, false);
SELECT pg_catalog.setval('public.parent_id_seq', 1, false);
SELECT pg_catalog.setval('public.sq', 1, false);
ALTER TABLE ONLY public.child
    ADD CONSTRAINT child_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.parent
    ADD CONSTRAINT parent_name_key UNIQUE (name);
ALTER TABLE ONLY public.parent
    ADD CONSTRAINT parent_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.child
    ADD CONSTRAINT u UNIQUE (pid, v);
CREATE INDEX child_expr ON public.child USING btree (((v * (2)::numeric))) WHERE (v > (0)::numeric);
ALTER TABLE ONLY public.child
    ADD CONSTRAINT child_pid_fkey FOREIGN KEY (pid) REFERENCES public.parent(id) ON DELETE CASCADE;
GRANT SELECT ON TABLE public.parent TO joe;
