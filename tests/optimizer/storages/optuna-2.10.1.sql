BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v2.6.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'old');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,0,-0.165955990594852);
INSERT INTO "trial_intermediate_values" VALUES(2,1,1,0.834044009405148);
INSERT INTO "trial_intermediate_values" VALUES(3,1,2,1.83404400940514800133e+00);
INSERT INTO "trial_intermediate_values" VALUES(4,2,0,-2.0646505153866012705e-01);
INSERT INTO "trial_intermediate_values" VALUES(5,2,1,7.93534948461339872949e-01);
INSERT INTO "trial_intermediate_values" VALUES(6,2,2,1.79353494846133987294e+00);
INSERT INTO "trial_intermediate_values" VALUES(7,3,0,3.4093502035680445239e-01);
INSERT INTO "trial_intermediate_values" VALUES(8,3,1,1.34093502035680445239e+00);
INSERT INTO "trial_intermediate_values" VALUES(9,3,2,2.34093502035680423034e+00);
INSERT INTO "trial_intermediate_values" VALUES(10,4,0,3.84645231338628157402e-01);
INSERT INTO "trial_intermediate_values" VALUES(11,4,1,1.3846452313386281574e+00);
INSERT INTO "trial_intermediate_values" VALUES(12,4,2,2.3846452313386281574e+00);
INSERT INTO "trial_intermediate_values" VALUES(13,5,0,-1.57784749989895667354e-01);
INSERT INTO "trial_intermediate_values" VALUES(14,5,1,8.42215250010104332645e-01);
INSERT INTO "trial_intermediate_values" VALUES(15,5,2,1.84221525001010433264e+00);
INSERT INTO "trial_intermediate_values" VALUES(16,6,0,5.00288629889934943761e-01);
INSERT INTO "trial_intermediate_values" VALUES(17,6,1,1.50028862988993494376e+00);
INSERT INTO "trial_intermediate_values" VALUES(18,6,2,2.5002886298899351658e+00);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'x',-0.165955990594852,'{"name": "UniformDistribution", "attributes": {"low": -1.0, "high": 1.0}}');
INSERT INTO "trial_params" VALUES(2,1,'lr',7.60848123371479258258e-03,'{"name": "LogUniformDistribution", "attributes": {"low": 1e-05, "high": 0.1}}');
INSERT INTO "trial_params" VALUES(3,1,'drop',0.0,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.1}}');
INSERT INTO "trial_params" VALUES(4,1,'n',3.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 8, "step": 1}}');
INSERT INTO "trial_params" VALUES(5,1,'w',16.0,'{"name": "IntUniformDistribution", "attributes": {"low": 16, "high": 64, "step": 16}}');
INSERT INTO "trial_params" VALUES(6,1,'model',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["mlp", "cnn"]}}');
INSERT INTO "trial_params" VALUES(7,1,'kernel',4.0,'{"name": "IntUniformDistribution", "attributes": {"low": 3, "high": 7, "step": 1}}');
INSERT INTO "trial_params" VALUES(8,2,'x',-2.0646505153866012705e-01,'{"name": "UniformDistribution", "attributes": {"low": -1.0, "high": 1.0}}');
INSERT INTO "trial_params" VALUES(9,2,'lr',1.4297724879798392062e-03,'{"name": "LogUniformDistribution", "attributes": {"low": 1e-05, "high": 0.1}}');
INSERT INTO "trial_params" VALUES(10,2,'drop',0.2,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.1}}');
INSERT INTO "trial_params" VALUES(11,2,'n',6.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 8, "step": 1}}');
INSERT INTO "trial_params" VALUES(12,2,'w',16.0,'{"name": "IntUniformDistribution", "attributes": {"low": 16, "high": 64, "step": 16}}');
INSERT INTO "trial_params" VALUES(13,2,'model',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["mlp", "cnn"]}}');
INSERT INTO "trial_params" VALUES(14,3,'x',3.4093502035680445239e-01,'{"name": "UniformDistribution", "attributes": {"low": -1.0, "high": 1.0}}');
INSERT INTO "trial_params" VALUES(15,3,'lr',4.66894985370889246175e-04,'{"name": "LogUniformDistribution", "attributes": {"low": 1e-05, "high": 0.1}}');
INSERT INTO "trial_params" VALUES(16,3,'drop',3.00000000000000044408e-01,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.1}}');
INSERT INTO "trial_params" VALUES(17,3,'n',2.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 8, "step": 1}}');
INSERT INTO "trial_params" VALUES(18,3,'w',16.0,'{"name": "IntUniformDistribution", "attributes": {"low": 16, "high": 64, "step": 16}}');
INSERT INTO "trial_params" VALUES(19,3,'model',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["mlp", "cnn"]}}');
INSERT INTO "trial_params" VALUES(20,3,'kernel',4.0,'{"name": "IntUniformDistribution", "attributes": {"low": 3, "high": 7, "step": 1}}');
INSERT INTO "trial_params" VALUES(21,4,'x',3.84645231338628157402e-01,'{"name": "UniformDistribution", "attributes": {"low": -1.0, "high": 1.0}}');
INSERT INTO "trial_params" VALUES(22,4,'lr',3.20299757002904736391e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 1e-05, "high": 0.1}}');
INSERT INTO "trial_params" VALUES(23,4,'drop',0.5,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.1}}');
INSERT INTO "trial_params" VALUES(24,4,'n',1.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 8, "step": 1}}');
INSERT INTO "trial_params" VALUES(25,4,'w',16.0,'{"name": "IntUniformDistribution", "attributes": {"low": 16, "high": 64, "step": 16}}');
INSERT INTO "trial_params" VALUES(26,4,'model',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["mlp", "cnn"]}}');
INSERT INTO "trial_params" VALUES(27,4,'kernel',3.0,'{"name": "IntUniformDistribution", "attributes": {"low": 3, "high": 7, "step": 1}}');
INSERT INTO "trial_params" VALUES(28,5,'x',-1.57784749989895667354e-01,'{"name": "UniformDistribution", "attributes": {"low": -1.0, "high": 1.0}}');
INSERT INTO "trial_params" VALUES(29,5,'lr',6.78512918199478676228e-02,'{"name": "LogUniformDistribution", "attributes": {"low": 1e-05, "high": 0.1}}');
INSERT INTO "trial_params" VALUES(30,5,'drop',3.00000000000000044408e-01,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.1}}');
INSERT INTO "trial_params" VALUES(31,5,'n',6.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 8, "step": 1}}');
INSERT INTO "trial_params" VALUES(32,5,'w',32.0,'{"name": "IntUniformDistribution", "attributes": {"low": 16, "high": 64, "step": 16}}');
INSERT INTO "trial_params" VALUES(33,5,'model',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["mlp", "cnn"]}}');
INSERT INTO "trial_params" VALUES(34,5,'kernel',3.0,'{"name": "IntUniformDistribution", "attributes": {"low": 3, "high": 7, "step": 1}}');
INSERT INTO "trial_params" VALUES(35,6,'x',5.00288629889934943761e-01,'{"name": "UniformDistribution", "attributes": {"low": -1.0, "high": 1.0}}');
INSERT INTO "trial_params" VALUES(36,6,'lr',0.0902494067192741,'{"name": "LogUniformDistribution", "attributes": {"low": 1e-05, "high": 0.1}}');
INSERT INTO "trial_params" VALUES(37,6,'drop',0.4,'{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 0.5, "q": 0.1}}');
INSERT INTO "trial_params" VALUES(38,6,'n',3.0,'{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 8, "step": 1}}');
INSERT INTO "trial_params" VALUES(39,6,'w',64.0,'{"name": "IntUniformDistribution", "attributes": {"low": 16, "high": 64, "step": 16}}');
INSERT INTO "trial_params" VALUES(40,6,'model',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["mlp", "cnn"]}}');
INSERT INTO "trial_params" VALUES(41,6,'kernel',7.0,'{"name": "IntUniformDistribution", "attributes": {"low": 3, "high": 7, "step": 1}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,8,'fixed_params','{"x": 0.5}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,-0.165955990594852);
INSERT INTO "trial_values" VALUES(2,2,0,-2.0646505153866012705e-01);
INSERT INTO "trial_values" VALUES(3,3,0,2.34093502035680423034e+00);
INSERT INTO "trial_values" VALUES(4,5,0,-1.57784749989895667354e-01);
INSERT INTO "trial_values" VALUES(5,6,0,5.00288629889934943761e-01);
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-24 06:18:42.924452','2026-11-24 06:18:43.235833');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-24 06:18:43.290051','2026-11-24 06:18:43.486532');
INSERT INTO "trials" VALUES(3,2,1,'PRUNED','2026-11-24 06:18:43.537016','2026-11-24 06:18:43.764263');
INSERT INTO "trials" VALUES(4,3,1,'FAIL','2026-11-24 06:18:43.773403','2026-11-24 06:18:44.082768');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-24 06:18:44.101783','2026-11-24 06:18:44.378728');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-24 06:18:44.408762','2026-11-24 06:18:44.678797');
INSERT INTO "trials" VALUES(7,6,1,'RUNNING','2026-11-24 06:18:44.717849',NULL);
INSERT INTO "trials" VALUES(8,7,1,'WAITING',NULL,NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'2.10.1');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
COMMIT;
