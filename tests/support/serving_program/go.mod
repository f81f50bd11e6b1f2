module example.invalid/serving

go 1.24
