CREATE TABLE directors (
    id INT PRIMARY KEY,
    name VARCHAR(100) NOT NULL
);
CREATE TABLE movies (
    id INT PRIMARY KEY,
    director_id INT NOT NULL,
    title VARCHAR(200) NOT NULL,
    released DATE,
    budget DECIMAL(12, 2)
);
INSERT INTO directors VALUES (1, 'Agnès Varda'), (2, 'Akira Kurosawa'), (3, 'Lotte Reiniger');
INSERT INTO movies VALUES
    (10, 1, 'Cléo de 5 à 7', '1962-04-11', 64000.50),
    (11, 1, 'Sans toit ni loi', '1985-12-04', NULL),
    (12, 2, 'Ikiru', '1952-10-09', 110000.25),
    (13, 2, 'Ran', '1985-06-01', 11500000.00);
